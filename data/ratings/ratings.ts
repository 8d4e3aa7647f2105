/**
 * A log as ratings: all rows with a rating (no k-core filter), each user's in time order. The task decides what is
 * predicted: `rating` the rating itself, `ctr` whether it is at least a threshold, as 0 or 1.
 */
import { byUser, renumber } from '../by-user.ts';
import { InputError, option } from '../errors.ts';
import type { TimeUnit } from '../formats/times.ts';
import type { ContextColumn, Log } from '../log.ts';
import { take } from '../spans.ts';

export type RatingTask = 'rating' | 'ctr';

/** More distinct ratings than this are grouped into this many levels of about equal size. */
export const MOST_LEVELS = 20;

/** Rows 0 … size − 1, users and items numbered by first appearance. */
export interface Ratings {
  userIds: string[];
  itemIds: string[];
  user: Uint32Array;
  item: Uint32Array;
  /** What is predicted, in single precision as training reads it; print it by {@link asWritten}. */
  value: Float32Array;
  /** Index of its level in `levels`. */
  level: Uint32Array;
  /** Rising; a level of several ratings has their mean. */
  levels: Float32Array;
  /** NaN where unknown; null when file order is the time order. */
  time: Float64Array | null;
  /** The unit of `time`. */
  timeUnit?: TimeUnit;
  /** Other columns of the log that were requested; their rows are those of `value`. */
  context?: ContextColumn[];
  /** All rows, those of user u in time order at [starts[u], starts[u + 1]); ties keep file order, unknown times come first. */
  order: Uint32Array;
  starts: Uint32Array;
  size: number;
  /** The lowest and the highest value that is predicted. */
  range: { least: number; most: number };
  /** For `ctr`: the lowest rating that counts as positive. */
  positive: number | null;
  source: string;
  notes: string[];
}

/** The lowest positive rating by default, of five stars. */
const POSITIVE = 4;

/**
 * @param threshold for `ctr`: the lowest rating that counts as positive; by default 1 if all are 0 or 1, else 4
 * @throws InputError without ratings, or if all are the same
 */
export function ratingsOf(log: Log, task: RatingTask, threshold?: number): Ratings {
  const { source, rating } = log;
  if (!rating) {
    throw new InputError(
      'missing-column',
      `${source}: has no rating column, which ${option('task', task)} learns from`,
      {
        hint: `name it with ${option('columns.rating', 'NAME')}, or leave ${option('task')} out to rank the next item`,
      },
    );
  }
  const rows = Uint32Array.from({ length: log.size }, (_, row) => row).filter((row) => Number.isFinite(rating[row]));
  const ratings = take(rating, rows);
  const missing = log.size - rows.length;
  const notes = [...log.notes];
  if (missing > 0) notes.push(`${missing.toLocaleString('en-US')} rows without a rating left out`);
  if (rows.length < 2)
    throw new InputError('too-little-data', `${source}: ${rows.length} rows with a rating are too few to learn from`);

  const limit = threshold ?? (ratings.every((value) => value === 0 || value === 1) ? 1 : POSITIVE);
  const value = Float32Array.from(ratings, (rating) => (task === 'ctr' ? Number(rating >= limit) : rating));
  const { level, levels } = levelsOf(value);
  if (levels.length < 2) {
    throw new InputError(
      'too-little-data',
      task === 'ctr'
        ? `${source}: every row is ${levels[0] ? 'positive' : 'negative'} with ${option('positive', limit)}, so there is nothing to tell apart`
        : `${source}: every rating is ${asWritten(levels[0] ?? Number.NaN)}, so there is nothing to predict`,
      { hint: task === 'ctr' ? 'choose another threshold' : `leave ${option('task')} out to rank the next item` },
    );
  }
  const time = log.time && take(log.time, rows);
  // Users and items without a rating are left out.
  const users = renumber(rows, log.user, log.userIds);
  const items = renumber(rows, log.item, log.itemIds);
  const context = log.context?.map((column) => ({ ...column, rows: take(column.rows, rows) }));
  return {
    userIds: users.ids,
    itemIds: items.ids,
    user: users.numbers,
    item: items.numbers,
    value,
    level,
    levels,
    time,
    ...(log.timeUnit && { timeUnit: log.timeUnit }),
    ...(context && { context }),
    ...byUser(users.numbers, users.ids.length, time),
    size: rows.length,
    range: task === 'ctr' ? { least: 0, most: 1 } : rangeOf(ratings),
    positive: task === 'ctr' ? limit : null,
    source,
    notes,
  };
}

function rangeOf(ratings: Float64Array): Ratings['range'] {
  const range = { least: Number.POSITIVE_INFINITY, most: Number.NEGATIVE_INFINITY };
  for (const rating of ratings) {
    range.least = Math.min(range.least, rating);
    range.most = Math.max(range.most, rating);
  }
  return range;
}

/** A rating that went through single precision, as it was written: 2.2, not 2.200000047683716. */
export function asWritten(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

/** The level of each value; levels are quantiles of the values if too many are distinct. */
export function levelsOf(value: Float32Array): { level: Uint32Array; levels: Float32Array } {
  const distinct = Float32Array.from(new Set(value)).sort();
  if (distinct.length <= MOST_LEVELS) {
    const at = new Map(Array.from(distinct, (v, k) => [v, k]));
    return { level: Uint32Array.from(value, (v) => at.get(v) as number), levels: distinct };
  }
  const sorted = value.slice().sort();
  // Upper ends of the levels, each once; the last one takes what is left.
  const ends = Array.from({ length: MOST_LEVELS }, (_, k) => Math.ceil(((k + 1) * sorted.length) / MOST_LEVELS) - 1);
  const upper = Float32Array.from(new Set(ends.map((at) => sorted[at] as number))).sort();
  const level = Uint32Array.from(value, (v) => firstAtLeast(upper, v));
  const totals = Array.from(upper, () => ({ sum: 0, count: 0 }));
  value.forEach((v, i) => {
    const total = totals[level[i] as number];
    if (!total) return;
    total.sum += v;
    total.count++;
  });
  return { level, levels: Float32Array.from(totals, ({ sum, count }) => sum / count) };
}

/** The first index of a rising list whose entry is at least v; the last index if there is none. */
function firstAtLeast(rising: Float32Array, v: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] as number) >= v) high = middle;
    else low = middle + 1;
  }
  return low;
}
