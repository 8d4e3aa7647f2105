/**
 * Queries as a model reads them: rows of its item table, times, and side features. They come from the IDs and columns of
 * whoever asks (`encodeQuery`), or from a split whose events are encoded already (`splitQuery`); both give the same.
 */
import { InputError } from '../../data/errors.ts';
import type { UnseenCounts } from '../../data/features/encoder.ts';
import { milliseconds, type SideFeatureEncoder } from '../../data/features/event-encoder.ts';
import { packBags, type SideFeatureRows, SideFeatureWriter } from '../../data/features/side-rows.ts';
import { toSeconds } from '../../data/formats/times.ts';
import type { Split, SplitPart } from '../../data/splits/split.ts';

/** What a user did. */
export interface History {
  /** Item rows, oldest first, at least one; the last `window` of them are read. */
  history: Uint32Array;
  /** Times of the history (data/formats/times.ts), for models that read them; without them the order counts. */
  times?: Uint32Array;
  /** Side features of the events of the history, or of its last ones; for models that read them. */
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

/** @throws InputError where no ID of several is known, or times, ratings or a column do not fit the history */
export function encodeQuery({ rows, encoder }: QueryModel, query: Query): EncodedQuery {
  const { history, times } = query;
  checkLengths(query);
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
    times: times && toSeconds(positions.map((i) => times[i])),
    features: encoder ? featuresOf(encoder, query, positions, unseen) : undefined,
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

function featuresOf(
  encoder: SideFeatureEncoder,
  { times, user, ratings, context = {}, features }: Query,
  positions: readonly number[],
  unseen: UnseenCounts,
): SideFeatureRows {
  const writer = new SideFeatureWriter();
  const seconds = times && toSeconds(times);
  const unit = times ? milliseconds(times) : 0;
  const userBag = features ? [] : encoder.userBag(user ?? null, unseen);
  const dated = (i: number): boolean => times !== undefined && i >= 0 && !Number.isNaN(times[i]);
  for (const i of positions) {
    if (features) writer.addRow(features, i);
    else {
      const facts = {
        rating: ratings?.[i],
        gap: seconds && dated(i) && dated(i - 1) ? Math.max(0, seconds[i] - seconds[i - 1]) : Number.NaN,
        ms: times && dated(i) && unit > 0 ? times[i] * unit : Number.NaN,
        context: Object.fromEntries(Object.entries(context).map(([name, values]) => [name, values[i]])),
      };
      writer.add(encoder.eventBag(facts, unseen));
      writer.add(userBag);
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
  return encoder ? packBags([[...encoder.eventBag(null), ...encoder.userBag(user ?? null)]]) : undefined;
}

/** What may be known of user u of a split when the part's targets are predicted. @param last how many events are read */
export function splitQuery(split: Split, u: number, part: SplitPart, last?: number): History {
  return {
    history: split.history(u, part),
    times: split.times(u, part),
    features: split.sideFeatures(u, part, last),
  };
}
