/**
 * Queries as a model reads them: rows of its item table, times, and side features. They come from the IDs and columns of
 * whoever asks (`encodeQuery`), or from a split whose events are encoded already (`splitQuery`); both give the same.
 */
import { InputError } from '../../data/errors.ts';
import type { UnseenCounts } from '../../data/features/encoder.ts';
import { hasRequestColumns, type Moment, type SideFeatureEncoder } from '../../data/features/event-encoder.ts';
import { packBags, type SideFeatureRows, SideFeatureWriter } from '../../data/features/side-rows.ts';
import {
  inUnit,
  largest,
  PER_SECOND,
  type TimeUnit,
  toMilliseconds,
  toSeconds,
  unitOf,
} from '../../data/formats/times.ts';
import type { RequestTime } from '../../data/splits/protocol.ts';
import type { Split, SplitPart } from '../../data/splits/split.ts';
import { readsRequestTime, readsTimes } from '../recipes/derived.ts';
import type { Settings } from '../recipes/settings.ts';

/** What a user did. */
export interface History {
  /** Item rows, oldest first, at least one; the last `window` of them are read. */
  history: Uint32Array;
  /**
   * Times of the history (data/formats/times.ts) for models that read them, and one more: of the request, where it is known.
   * Without them the order counts.
   */
  times?: Uint32Array;
  /** Side features of the events of the history, or of its last ones, and of the request; for models that read them. */
  features?: SideFeatureRows;
}

/** What may be known of a user besides items; models trained with user or event features read it, others ignore it. */
export interface UserContext {
  /** Columns of the user, as the users file of the training had them: `{ age: '25', city: 'Ulm' }`. */
  user?: Readonly<Record<string, string>>;
  /** Ratings of the history's events, NaN where there is none. */
  ratings?: readonly number[];
  /** Columns of the log, a value for each event of the history: `{ device: ['phone', 'desk'] }`. */
  context?: Readonly<Record<string, readonly string[]>>;
  /** The encoded features of each event of the history (data/features/side-features.ts), instead of the others. */
  features?: SideFeatureRows;
}

export interface Query extends UserContext {
  /** Item IDs, oldest first. */
  history: readonly string[];
  /** When each event of the history was. */
  times?: readonly number[];
  /** When the next event is asked for, in the unit of the times, or since 1970 as they are; null: unknown. */
  now?: number | null;
}

/** What of a model reads queries. */
export interface QueryModel {
  /** Row of each item ID. */
  rows: ReadonlyMap<string, number>;
  /** null where the model reads items alone. */
  encoder: SideFeatureEncoder | null;
}

export interface EncodedQuery extends History {
  /** Index in the query's history of each event of the encoded one. */
  positions: number[];
  /** IDs of the history that the model does not know; they are skipped. */
  unknown: string[];
  /** Values of the user or the events that the model does not know, by column; they are encoded as unknown. */
  unseen: Record<string, number>;
}

/** Whether lists of a model depend on when they are asked for. */
export const readsNow = (settings: Settings, { encoder }: Pick<QueryModel, 'encoder'>): boolean =>
  readsRequestTime(settings) && (readsTimes(settings) || hasRequestColumns(encoder?.schema ?? {}));

/**
 * The current time in the unit of a history's times, not before the latest of them (its clock may be ahead of this one); null
 * where they are no dates.
 * @param now milliseconds since 1970
 */
export function currentTime(times: readonly number[] = [], now = Date.now()): number | null {
  const most = largest(times);
  const unit = most > 0 ? unitOf(most) : 'ms';
  if (unit === 'order') return null;
  const latest = times.findLast((time) => !Number.isNaN(time)) ?? Number.NEGATIVE_INFINITY;
  return Math.max((now / 1000) * PER_SECOND[unit], latest);
}

/** @throws InputError where no ID of several is known, or times, ratings, a column or `now` do not fit the history */
export function encodeQuery({ rows, encoder }: QueryModel, query: Query): EncodedQuery {
  const { history } = query;
  checkLengths(query);
  const clock = new Clock(query);
  const [positions, unknown]: [number[], string[]] = [[], []];
  history.forEach((id, i) => {
    if (rows.has(id)) positions.push(i);
    else unknown.push(id);
  });
  if (positions.length === 0 && history.length > 0) {
    const examples = `${history.slice(0, 3).join(', ')}${history.length > 3 ? ', …' : ''}`;
    throw new InputError(
      'unknown-id',
      `none of the ${history.length} items of the history is known to the model (${examples})`,
    );
  }
  const unseen: UnseenCounts = new Map();
  return {
    history: Uint32Array.from(positions, (i) => rows.get(history[i]) as number),
    times: clock.seconds(positions),
    features: encoder ? featuresOf(encoder, query, clock, positions, unseen) : undefined,
    positions,
    unknown,
    unseen: Object.fromEntries(unseen),
  };
}

/** Times, ratings and columns have a value for each event. */
function checkLengths({ history, times, ratings, context }: Query): void {
  const columns = Object.entries(context ?? {});
  for (const [name, values] of [['times', times] as const, ['ratings', ratings] as const, ...columns]) {
    if (!values || values.length === history.length) continue;
    throw new InputError(
      'invalid-value',
      `${name}: expected one for each of the ${history.length} items of the history, got ${values.length}`,
    );
  }
}

/** The times of a query, of which any may be unknown. */
class Clock {
  /** [events + 1], the last one of the request; NaN where unknown. */
  private readonly times: Float64Array | null;
  private readonly unit: TimeUnit;

  constructor({ history, times, now = null }: Query) {
    this.times = times || now !== null ? new Float64Array(history.length + 1).fill(Number.NaN) : null;
    this.times?.set(times ?? []);
    const most = largest(times ?? []);
    this.unit = unitOf(most > 0 ? most : (now ?? 0));
    if (!this.times || now === null) return;
    // A date may be in another unit than the dates of the history; what counts something else cannot.
    const asked = inUnit(now, this.unit);
    if (Number.isNaN(asked))
      throw new InputError('invalid-value', `expected a time like those of the history (${times?.at(-1)})`, {
        setting: 'now',
        value: now,
      });
    this.times[history.length] = asked;
    const latest = times?.findLast((time) => !Number.isNaN(time)) ?? Number.NaN;
    if (asked < latest)
      throw new InputError('invalid-value', `expected a time after the last event of the history (${latest})`, {
        setting: 'now',
        value: now,
        hint: 'leave out the events that have not happened by then',
      });
  }

  /** Seconds of the events at `positions`, and of the request if known; undefined where those of the events are not. */
  seconds(positions: readonly number[]): Uint32Array | undefined {
    const { times } = this;
    if (!times || times.subarray(0, -1).every(Number.isNaN)) return undefined;
    const all = [...positions, ...(Number.isNaN(times.at(-1)) ? [] : [times.length - 1])];
    return toSeconds(
      all.map((i) => times[i]),
      undefined,
      this.unit,
    );
  }

  /** When event i was, or the request. */
  moment(before: number, i: number): Moment {
    const { times, unit } = this;
    const [last, time] = [times?.[before] ?? Number.NaN, times?.[i] ?? Number.NaN];
    return {
      gap: Math.max(0, Math.round((time - last) / PER_SECOND[unit])),
      ms: unit === 'order' ? Number.NaN : time * toMilliseconds(1, unit),
    };
  }
}

function featuresOf(
  encoder: SideFeatureEncoder,
  { history, user, ratings, context = {}, features }: Query,
  clock: Clock,
  positions: readonly number[],
  unseen: UnseenCounts,
): SideFeatureRows {
  const writer = new SideFeatureWriter();
  const userBag = features ? [] : encoder.userBag(user ?? null, unseen);
  for (const [at, i] of positions.entries()) {
    if (features) writer.addRow(features, i);
    else {
      const facts = {
        rating: ratings?.[i],
        ...clock.moment(i - 1, i),
        context: Object.fromEntries(Object.entries(context).map(([name, values]) => [name, values[i]])),
      };
      writer.add(encoder.eventBag(facts, unseen));
      writer.add(userBag);
      writer.add(encoder.requestBag(clock.moment(i, positions[at + 1] ?? history.length)));
    }
    writer.endToken();
  }
  return writer.finish();
}

/** Side features of an event that has not happened, one token; undefined where the model reads items alone. */
export function nextEventFeatures(
  { encoder }: QueryModel,
  user: UserContext['user'] | undefined,
): SideFeatureRows | undefined {
  return encoder
    ? packBags([[...encoder.eventBag(null), ...encoder.userBag(user ?? null), ...encoder.requestBag(null)]])
    : undefined;
}

/**
 * What may be known of user u of a split when the part's targets are predicted.
 * @param last how many events are read @param request whether the time of the targets is known
 */
export function splitQuery(
  split: Split,
  u: number,
  part: SplitPart,
  last?: number,
  request: RequestTime = 'unknown',
): History {
  return {
    history: split.history(u, part),
    times: split.times(u, part, request),
    features: split.sideFeatures(u, part, last, request),
  };
}
