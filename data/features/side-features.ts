/**
 * What stands beside the items of a history: what is known of the user, and how each event was. Both are weighted bags of
 * rows of one table A (features.ts), summed onto the embedding of each event:
 *
 *   x[t] = E[item t] + P[t] + Σ weights · A[rows of the user] + Σ A[rows of event t]
 *
 *   user       a row of its own, then the columns of the users file
 *   rating     a row for each rating, or for each sixteenth of them where there are more than 16
 *   gap        ⌊log2(1 + seconds since the event before)⌋, 32 rows
 *   hour       sine and cosine of the time of day (UTC), once and twice round, and the hour: cyclical and bucketed
 *   weekday    the same of the week, once round, and the day
 *   a column   of the log (device, shop, …): a row for each value
 *
 * Each kind of event has a row for a missing value and one for an unknown one. Nothing that is learned after an event is
 * read before it: event t predicts t + 1.
 */
import type { Dataset } from '../dataset.ts';
import { InputError, option } from '../errors.ts';
import { attributeRows, type Bag, bagEncoder, type BagEncoder, countUnseen, type UnseenCounts } from './encoder.ts';
import { GrowableArray } from '../log.ts';
import { ownValue } from '../own-value.ts';
import type { Schema } from './schema.ts';
import { largest, type TimeUnit, toMilliseconds, unitOf } from '../formats/times.ts';

/** How events are read, by name: the kinds above, or a column of the log. */
export interface EventColumn {
  name: string;
  kind: 'rating' | 'gap' | 'hour' | 'weekday' | 'column';
  /** Of ratings and columns, in the order of their rows. */
  values?: string[];
  /** Of many ratings: where each row's values begin, rising. */
  knots?: number[];
  /** Share (0 to 1) of the events without a value. */
  absent: number;
}

export interface SideFeatureSchema {
  users?: Schema;
  events?: EventColumn[];
}

/** What is known of an event besides its item. */
export interface EventContext {
  rating?: number;
  /** Seconds since the event before; NaN for the first. */
  gap?: number;
  /** Milliseconds since 1970. */
  ms?: number;
  /** Values of the log's columns by name. */
  context?: Readonly<Record<string, string | undefined>>;
}

/** Rows of event columns before their values. */
const MISSING = 0;
const UNKNOWN = 1;
const VALUES = 2;
const GAPS = 32;
const MOST_RATINGS = 16;
const MOST_VALUES = 2000;
const DAY = 86_400_000;
/** Sine and cosine by frequency. */
const WAVES = { hour: 4, weekday: 2 };

const eventRows = ({ kind, values, knots }: EventColumn): number => {
  if (kind === 'gap') return VALUES + GAPS;
  if (kind === 'hour') return VALUES + WAVES.hour + 24;
  if (kind === 'weekday') return VALUES + WAVES.weekday + 7;
  return VALUES + (values?.length ?? knots?.length ?? 0);
};

/** Rows of the table A. */
export const sideFeatureRows = ({ users, events = [] }: SideFeatureSchema): number =>
  (users ? attributeRows(users) : 0) + events.reduce((sum, column) => sum + eventRows(column), 0);

/**
 * What the events of a log are to be read with.
 * @param names rating, gap, hour, weekday, or columns that the log was read with
 * @throws InputError where the log lacks one
 */
export function inferEvents(
  { ratings, clock, timeUnit, context = [] }: Pick<Dataset, 'ratings' | 'clock' | 'timeUnit' | 'context'>,
  names: readonly string[],
  source: string,
): EventColumn[] {
  return names.map((name): EventColumn => {
    const lacks = (what: string, column: string) =>
      new InputError('missing-column', `${source} has no ${what}`, {
        setting: 'reads',
        value: name,
        hint: `name its column with ${option(`columns.${column}`, 'NAME')}, or leave ${name} out`,
      });
    switch (name) {
      case 'rating': {
        if (!ratings) throw lacks('ratings', 'rating');
        const given = ratings.filter((rating) => !Number.isNaN(rating)).sort();
        const distinct = [...new Set(given)];
        const absent = 1 - given.length / Math.max(1, ratings.length);
        if (distinct.length <= MOST_RATINGS) return { name, kind: name, values: distinct.map(String), absent };
        const at = (k: number): number => given[Math.floor((k * given.length) / MOST_RATINGS)];
        return { name, kind: name, knots: [...new Set(Array.from({ length: MOST_RATINGS }, (_, k) => at(k)))], absent };
      }
      case 'gap':
      case 'hour':
      case 'weekday': {
        if (!clock) throw lacks('times', 'time');
        const absent = clock.reduce((n, time) => n + (Number.isNaN(time) ? 1 : 0), 0) / Math.max(1, clock.length);
        if (name !== 'gap' && !(milliseconds(clock, timeUnit) > 0)) {
          throw new InputError('missing-column', `the times of ${source} are not dates (neither ISO nor since 1970)`, {
            setting: 'reads',
            value: name,
            hint: `leave ${name} out`,
          });
        }
        return { name, kind: name, absent };
      }
      default: {
        const column = context.find((own) => own.name === name);
        if (!column) throw new Error(`side: the log was read without ${name}`);
        const counts = new Uint32Array(column.values.length);
        let absent = 0;
        for (const value of column.rows) {
          if (column.values[value] === '') absent++;
          else counts[value]++;
        }
        const known = column.values
          .map((value, i) => ({ value, count: counts[i] }))
          .filter(({ value, count }) => value !== '' && count > 0)
          .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
          .slice(0, MOST_VALUES);
        const share = absent / Math.max(1, column.rows.length);
        return { name, kind: 'column', values: known.map(({ value }) => value), absent: share };
      }
    }
  });
}

/** What the times of a log must be multiplied by to be milliseconds since 1970; 0 where they are no such times. */
export function milliseconds(clock: ArrayLike<number>, unit: TimeUnit = unitOf(largest(clock))): number {
  return unit === 'order' ? 0 : toMilliseconds(1, unit);
}

/** Kinds of events that are no column of the log. */
const OWN_KINDS: readonly string[] = ['rating', 'gap', 'hour', 'weekday'];

/** Those of the names that are columns of the log, to be read as they are. */
export const contextNames = (names: readonly string[]): string[] => names.filter((name) => !OWN_KINDS.includes(name));

/** Encodes users and events by a schema. Values that it does not know are counted in the `unseen` of a call. */
export class SideFeatureEncoder {
  readonly schema: SideFeatureSchema;
  readonly rows: number;
  private readonly user: BagEncoder | null;
  private readonly events: { column: EventColumn; base: number; places: Map<string | number, number> }[] = [];

  constructor(schema: SideFeatureSchema) {
    this.schema = schema;
    this.rows = sideFeatureRows(schema);
    let next = 0;
    for (const column of schema.events ?? []) {
      const places = new Map(column.values?.map((value, i) => [keyOf(column, value), VALUES + i]));
      this.events.push({ column, base: next, places });
      next += eventRows(column);
    }
    this.user = schema.users ? bagEncoder(schema.users, next) : null;
  }

  /** @param attributes columns of the users file; null where nothing is known of the user */
  userBag(attributes: Readonly<Record<string, string>> | null, unseen?: UnseenCounts): Bag {
    return this.user?.({ title: '', attributes: attributes ?? {} }, unseen) ?? [];
  }

  /** Of an event of which nothing is known where there are no facts. */
  eventBag(facts: EventContext | null, unseen?: UnseenCounts): Bag {
    const unknown = (name: string): number => {
      countUnseen(unseen, name);
      return UNKNOWN;
    };
    return this.events.flatMap(({ column, base, places }): Bag => {
      const at = (row: number): Bag => [[base + row, 1]];
      const { kind, name, knots } = column;
      if (kind === 'gap') {
        const gap = facts?.gap ?? Number.NaN;
        return at(
          Number.isNaN(gap) ? MISSING : VALUES + Math.min(GAPS - 1, Math.floor(Math.log2(1 + Math.max(0, gap)))),
        );
      }
      if (kind === 'hour' || kind === 'weekday') {
        const ms = facts?.ms ?? Number.NaN;
        if (Number.isNaN(ms)) return at(MISSING);
        return kind === 'hour'
          ? clockBag(base, ms / DAY, 24, WAVES.hour)
          : clockBag(base, ms / DAY / 7, 7, WAVES.weekday);
      }
      if (kind === 'rating') {
        const rating = facts?.rating ?? Number.NaN;
        if (Number.isNaN(rating)) return at(MISSING);
        if (!knots) return at(places.get(keyOf(column, rating)) ?? unknown(name));
        let k = 0;
        while (k + 1 < knots.length && Math.fround(knots[k + 1]) <= Math.fround(rating)) k++;
        return at(VALUES + k);
      }
      const value = ownValue(facts?.context, name);
      return at(value === undefined || value === '' ? MISSING : (places.get(keyOf(column, value)) ?? unknown(name)));
    });
  }
}

/** By what a value is found. Folders of earlier versions hold ratings in single precision (3.5999999046325684 for 3.6). */
const keyOf = ({ kind }: EventColumn, value: string | number): string | number =>
  kind === 'rating' ? Math.fround(Number(value)) : value;

/** Waves round the cycle, then its buckets. @param turns cycles since 1970; days began on a Thursday */
function clockBag(base: number, turns: number, buckets: number, waves: number): Bag {
  const phase = turns - Math.floor(turns);
  const bag: Bag = [];
  for (let w = 0; w < waves / 2; w++) {
    const angle = 2 * Math.PI * phase * (w + 1);
    bag.push([base + VALUES + 2 * w, Math.sin(angle)], [base + VALUES + 2 * w + 1, Math.cos(angle)]);
  }
  bag.push([base + VALUES + waves + Math.min(buckets - 1, Math.floor(phase * buckets)), 1]);
  return bag;
}

/** Bags of consecutive tokens as one sparse matrix [tokens, A]: token t holds `values` at `columns` from starts[t] on. */
export interface SideFeatureRows {
  starts: Uint32Array;
  columns: Uint32Array;
  values: Float32Array;
}

/** Puts bags together, a token each. */
export class SideFeatureWriter {
  readonly #starts = new GrowableArray((n) => new Uint32Array(n));
  readonly #columns = new GrowableArray((n) => new Uint32Array(n));
  readonly #values = new GrowableArray((n) => new Float32Array(n));
  #entries = 0;

  constructor() {
    this.#starts.push(0);
  }

  add(bag: Bag): void {
    for (const [row, weight] of bag) this.#entry(row, weight);
  }

  /** Adds row i of others. */
  addRow({ starts, columns, values }: SideFeatureRows, i: number): void {
    for (let e = starts[i]; e < starts[i + 1]; e++) this.#entry(columns[e], values[e]);
  }

  #entry(row: number, weight: number): void {
    this.#columns.push(row);
    this.#values.push(weight);
    this.#entries++;
  }

  endToken(): void {
    this.#starts.push(this.#entries);
  }

  finish(): SideFeatureRows {
    return { starts: this.#starts.finish(), columns: this.#columns.finish(), values: this.#values.finish() };
  }
}

/** The users and events of a dataset as the model reads them. */
export class SideFeatures {
  readonly encoder: SideFeatureEncoder;
  /** Entries that a token has at most. */
  readonly maxEntries: number;
  readonly unseen: UnseenCounts = new Map();
  private readonly dataset: Dataset;
  private readonly users: SideFeatureRows | null;
  /** By user: 1 where columns are known. */
  private readonly told: Uint8Array;
  private readonly events: SideFeatureRows | null;
  private readonly nobody: SideFeatureRows;
  private readonly nothing: SideFeatureRows;

  /** @param users columns by user ID; those that are not in it have none */
  constructor(
    encoder: SideFeatureEncoder,
    dataset: Dataset,
    users: ReadonlyMap<string, Readonly<Record<string, string>>> | null,
  ) {
    this.encoder = encoder;
    this.dataset = dataset;
    const { schema } = encoder;
    this.nobody = packBags([encoder.userBag(null)]);
    this.nothing = packBags([encoder.eventBag(null)]);
    this.users = schema.users
      ? packBags(dataset.userIds.map((id) => encoder.userBag(users?.get(id) ?? null, this.unseen)))
      : null;
    this.told = Uint8Array.from(dataset.userIds, (id) => Number(users?.has(id) ?? false));
    this.events = schema.events?.length ? this.encodeEvents() : null;
    this.maxEntries =
      Math.max(maxBagSize(this.users), maxBagSize(this.nobody)) +
      Math.max(maxBagSize(this.events), maxBagSize(this.nothing));
  }

  private encodeEvents(): SideFeatureRows {
    const { ratings, clock, timeUnit, times, context = [], offsets } = this.dataset;
    const unit = clock ? milliseconds(clock, timeUnit) : 0;
    const writer = new SideFeatureWriter();
    for (let u = 0; u + 1 < offsets.length; u++) {
      for (let at = offsets[u]; at < offsets[u + 1]; at++) {
        const known = clock !== null && !Number.isNaN(clock[at]);
        const before = at > offsets[u] && known && !Number.isNaN(clock[at - 1]);
        writer.add(
          this.encoder.eventBag(
            {
              rating: ratings?.[at],
              gap: before && times ? Math.max(0, times[at] - times[at - 1]) : Number.NaN,
              ms: known && unit > 0 ? clock[at] * unit : Number.NaN,
              context: Object.fromEntries(context.map(({ name, values, rows }) => [name, values[rows[at]]])),
            },
            this.unseen,
          ),
        );
        writer.endToken();
      }
    }
    return writer.finish();
  }

  /** Rows of user u's columns; null where the model reads none. */
  userRow(u: number): SideFeatureRows | null {
    const { users } = this;
    if (!users) return null;
    const [from, to] = [users.starts[u], users.starts[u + 1]];
    return {
      starts: Uint32Array.of(0, to - from),
      columns: users.columns.subarray(from, to),
      values: users.values.subarray(from, to),
    };
  }

  /** The bag of user u's columns; null where none are known, or read. */
  knownBag(u: number): Bag | null {
    const row = this.told[u] ? this.userRow(u) : null;
    return row && Array.from(row.columns, (column, e) => [column, row.values[e]]);
  }

  /**
   * Writes a token for each event of user u at `places` of the dataset.
   * @param hide leave out what is known of the user, or of the events, as where nothing is known
   */
  write(
    writer: SideFeatureWriter,
    u: number,
    places: ArrayLike<number>,
    hide?: { user: boolean; events: boolean },
  ): void {
    for (let i = 0; i < places.length; i++) {
      if (hide?.events || !this.events) writer.addRow(this.nothing, 0);
      else writer.addRow(this.events, places[i]);
      if (hide?.user || !this.users) writer.addRow(this.nobody, 0);
      else writer.addRow(this.users, u);
      writer.endToken();
    }
  }

  /** What stands beside an event of user u that has not happened: one token, with nothing known of the event. */
  next(u: number): SideFeatureRows {
    const writer = new SideFeatureWriter();
    writer.addRow(this.nothing, 0);
    writer.addRow(this.users ?? this.nobody, this.users ? u : 0);
    writer.endToken();
    return writer.finish();
  }

  tokens(u: number, places: ArrayLike<number>): SideFeatureRows {
    const writer = new SideFeatureWriter();
    this.write(writer, u, places);
    return writer.finish();
  }
}

/** Entries that a token has at most. */
export function maxBagSize(rows: SideFeatureRows | null | undefined): number {
  let most = 0;
  for (let i = 0; rows && i + 1 < rows.starts.length; i++) most = Math.max(most, rows.starts[i + 1] - rows.starts[i]);
  return most;
}

/** Packs bags, a token each. */
export function packBags(bags: readonly Bag[]): SideFeatureRows {
  const writer = new SideFeatureWriter();
  for (const bag of bags) {
    writer.add(bag);
    writer.endToken();
  }
  return writer.finish();
}

/** The tokens of both, one after the other. */
export function concatRows(a: SideFeatureRows, b: SideFeatureRows): SideFeatureRows {
  const writer = new SideFeatureWriter();
  for (const rows of [a, b]) {
    for (let i = 0; i + 1 < rows.starts.length; i++) {
      writer.addRow(rows, i);
      writer.endToken();
    }
  }
  return writer.finish();
}
