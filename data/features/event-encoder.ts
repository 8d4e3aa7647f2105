/**
 * Side features of a history: user features and the context of each event. Both are weighted bags of rows of one table A
 * (encoder.ts), added to the embedding of each event:
 *
 *   x[t] = E[item t] + P[t] + Σ weights · A[rows of the user] + Σ A[rows of event t]
 *
 *   user       a row of its own, then the columns of the users file
 *   rating     a row for each rating, or for each sixteenth of them where there are more than 16
 *   gap        ⌊log2(1 + seconds since the event before)⌋, 32 rows
 *   hour       sine and cosine of the time of day (UTC), at frequencies 1 and 2, and a row for the hour
 *   weekday    sine and cosine of the time of the week, and a row for the day
 *   a column   of the log (device, shop, …): a row for each value
 *
 *   request-…  gap, hour and weekday of the next event: when it is asked for (`requestColumns`)
 *
 * Each event column has a row for a missing value and one for an unknown value. Nothing known only after an event is read
 * before it: event t predicts t + 1. When the next event is asked for is known by then; its time is all that is.
 */
import { countsOf } from '../by-user.ts';
import { type ValueColumn, inMemory } from '../column.ts';
import type { Dataset } from '../dataset.ts';
import { InputError, option } from '../errors.ts';
import { largest, type TimeUnit, toMilliseconds, unitOf } from '../formats/times.ts';
import { ownValue } from '../own-value.ts';
import { attributeRows, type Bag, type BagEncoder, bagEncoder, countUnseen, type UnseenCounts } from './encoder.ts';
import type { Schema } from './schema.ts';

export const EVENT_KINDS = [
  'rating',
  'gap',
  'hour',
  'weekday',
  'column',
  'request-gap',
  'request-hour',
  'request-weekday',
] as const;

/** How events are read: rating, gap, hour or weekday, a column of the log, or the time at which the next one is asked for. */
export interface EventColumn {
  name: string;
  kind: (typeof EVENT_KINDS)[number];
  /** For ratings and columns, in the order of their rows. */
  values?: string[];
  /** For many ratings: where each row's values start, rising. */
  knots?: number[];
  /** Share (0 to 1) of the events without a value. */
  absent: number;
}

export interface SideFeatureSchema {
  users?: Schema;
  events?: EventColumn[];
}

/** When something is: an event, or the request for the next one. */
export interface Moment {
  /** Seconds since the event before; NaN where there is none. */
  gap?: number;
  /** Milliseconds since 1970. */
  ms?: number;
}

/** The context of an event: what is known of it besides its item. */
export interface EventContext extends Moment {
  rating?: number;
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
/** Rows of sines and cosines. */
const WAVES = { hour: 4, weekday: 2 };

/** Whether a column is of the request for the next event, not of the event. */
const ofRequest = ({ kind }: Pick<EventColumn, 'kind'>): boolean => kind.startsWith('request-');

/** Whether the table has columns of the request, so that the time of it is read. */
export const hasRequestColumns = ({ events = [] }: SideFeatureSchema): boolean => events.some(ofRequest);

const eventRows = ({ kind, values, knots }: EventColumn): number => {
  if (kind.endsWith('gap')) return VALUES + GAPS;
  if (kind.endsWith('hour')) return VALUES + WAVES.hour + 24;
  if (kind.endsWith('weekday')) return VALUES + WAVES.weekday + 7;
  return VALUES + (values?.length ?? knots?.length ?? 0);
};

/** Rows of the table A. */
export const sideFeatureRows = ({ users, events = [] }: SideFeatureSchema): number =>
  (users ? attributeRows(users) : 0) + events.reduce((sum, column) => sum + eventRows(column), 0);

/**
 * The event columns of a log.
 * @param names rating, gap, hour, weekday, or columns that the log was read with
 * @throws InputError if the log lacks one
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
        const given = inMemory(ratings)
          .filter((rating) => !Number.isNaN(rating))
          .sort();
        const distinct = [...new Set(given)];
        const absent = 1 - given.length / Math.max(1, ratings.length);
        if (distinct.length <= MOST_RATINGS) return { name, kind: name, values: distinct.map(String), absent };
        const at = (k: number): number => given[Math.floor((k * given.length) / MOST_RATINGS)] as number;
        return { name, kind: name, knots: [...new Set(Array.from({ length: MOST_RATINGS }, (_, k) => at(k)))], absent };
      }
      case 'gap':
      case 'hour':
      case 'weekday': {
        if (!clock) throw lacks('times', 'time');
        const times = inMemory(clock);
        const absent = times.reduce((n, time) => n + (Number.isNaN(time) ? 1 : 0), 0) / Math.max(1, times.length);
        if (name !== 'gap' && !(milliseconds(times, timeUnit) > 0)) {
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
        const rows = inMemory(column.rows);
        const counts = countsOf(rows, column.values.length);
        const all = column.values.map((value, i) => ({ value, count: counts[i] as number }));
        const absent = all.reduce((sum, { value, count }) => sum + (value === '' ? count : 0), 0);
        const known = all
          .filter(({ value, count }) => value !== '' && count > 0)
          .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
          .slice(0, MOST_VALUES);
        const share = absent / Math.max(1, column.rows.length);
        return { name, kind: 'column', values: known.map(({ value }) => value), absent: share };
      }
    }
  });
}

/** The columns of the time at which the next event is asked for, as far as the times of a log tell: none without times. */
export function requestColumns({ clock, timeUnit }: Pick<Dataset, 'clock' | 'timeUnit'>): EventColumn[] {
  if (!clock) return [];
  const dated = milliseconds(clock, timeUnit) > 0;
  const kinds = dated ? (['request-gap', 'request-hour', 'request-weekday'] as const) : (['request-gap'] as const);
  return kinds.map((kind) => ({ name: kind, kind, absent: 0 }));
}

/** The factor that turns the times of a log into milliseconds since 1970; 0 if they are no such times. */
export function milliseconds(clock: ArrayLike<number> | ValueColumn<Float64Array>, unit?: TimeUnit): number {
  const known = unit ?? unitOf(largest(clock));
  return known === 'order' ? 0 : toMilliseconds(1, known);
}

/** Event columns that are computed, not read from the log. */
const OWN_KINDS: readonly string[] = ['rating', 'gap', 'hour', 'weekday'];

/** The names that are columns of the log, to be read as they are. */
export const contextNames = (names: readonly string[]): string[] => names.filter((name) => !OWN_KINDS.includes(name));

/** Encodes users and events by a schema. Values that it does not know are counted in the `unseen` of a call. */
export class SideFeatureEncoder {
  readonly schema: SideFeatureSchema;
  readonly rows: number;
  private readonly user: BagEncoder | null;
  private readonly events: { column: EventColumn; base: number; rowOf: Map<string | number, number> }[] = [];

  constructor(schema: SideFeatureSchema) {
    this.schema = schema;
    this.rows = sideFeatureRows(schema);
    let next = 0;
    for (const column of schema.events ?? []) {
      const rowOf = new Map(column.values?.map((value, i) => [keyOf(column, value), VALUES + i]));
      this.events.push({ column, base: next, rowOf });
      next += eventRows(column);
    }
    this.user = schema.users ? bagEncoder(schema.users, next) : null;
  }

  /** @param attributes columns of the users file; null if nothing is known of the user */
  userBag(attributes: Readonly<Record<string, string>> | null, unseen?: UnseenCounts): Bag {
    return this.user?.({ title: '', attributes: attributes ?? {} }, unseen) ?? [];
  }

  /** What is known of the request for the event after: its time alone. @param moment null if it is not known */
  requestBag(moment: Moment | null): Bag {
    return this.events.flatMap(({ column, base }) => (ofRequest(column) ? momentBag(column.kind, base, moment) : []));
  }

  /** @param context null if nothing is known of the event */
  eventBag(context: EventContext | null, unseen?: UnseenCounts): Bag {
    const unknown = (name: string): number => {
      countUnseen(unseen, name);
      return UNKNOWN;
    };
    return this.events.flatMap(({ column, base, rowOf }): Bag => {
      const at = (row: number): Bag => [[base + row, 1]];
      const { kind, name, knots } = column;
      if (ofRequest(column)) return [];
      if (isMoment(kind)) return momentBag(kind, base, context);
      if (kind === 'rating') {
        const rating = context?.rating ?? Number.NaN;
        if (Number.isNaN(rating)) return at(MISSING);
        if (!knots) return at(rowOf.get(keyOf(column, rating)) ?? unknown(name));
        const above = knots.findIndex((knot, k) => k > 0 && Math.fround(knot) > Math.fround(rating));
        return at(VALUES + (above < 0 ? knots.length : above) - 1);
      }
      const value = ownValue(context?.context, name);
      return at(value === undefined || value === '' ? MISSING : (rowOf.get(keyOf(column, value)) ?? unknown(name)));
    });
  }
}

/** Whether a column is of a time. */
const isMoment = (kind: EventColumn['kind']): boolean => kind !== 'rating' && kind !== 'column';

function momentBag(kind: EventColumn['kind'], base: number, moment: Moment | null): Bag {
  const at = (row: number): Bag => [[base + row, 1]];
  if (kind.endsWith('gap')) {
    const gap = moment?.gap ?? Number.NaN;
    return at(Number.isNaN(gap) ? MISSING : VALUES + Math.min(GAPS - 1, Math.floor(Math.log2(1 + Math.max(0, gap)))));
  }
  const ms = moment?.ms ?? Number.NaN;
  if (Number.isNaN(ms)) return at(MISSING);
  return kind.endsWith('hour')
    ? clockBag(base, ms / DAY, 24, WAVES.hour)
    : clockBag(base, ms / DAY / 7, 7, WAVES.weekday);
}

/** The key of a value. Folders of earlier versions hold ratings in single precision (3.5999999046325684 for 3.6). */
const keyOf = ({ kind }: EventColumn, value: string | number): string | number =>
  kind === 'rating' ? Math.fround(Number(value)) : value;

/** Sines and cosines over the cycle, then its buckets. @param turns cycles since 1970, which started on a Thursday */
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
