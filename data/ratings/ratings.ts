/**
 * A log as ratings: every row counts (no k-core filter), rows of a user in time order. The task decides what is predicted:
 * `rating` the rating itself, `ctr` whether it is at least a threshold, as 0 or 1.
 */
import { InputError, option } from '../errors.ts';
import type { ContextColumn, Log } from '../log.ts';
import type { TimeUnit } from '../formats/times.ts';

export type RatingTask = 'rating' | 'ctr';

/** More distinct ratings than this are put into as many levels of about equal size. */
export const MOST_LEVELS = 20;

/** Rows 0 … size − 1, users and items numbered by first appearance. */
export interface Ratings {
  userIds: string[];
  itemIds: string[];
  user: Uint32Array;
  item: Uint32Array;
  /** What is predicted, in single precision as training reads it; print it by {@link asWritten}. */
  value: Float32Array;
  /** Which of `levels` it is, or belongs to. */
  level: Uint32Array;
  /** Rising; a level of several ratings stands for their mean. */
  levels: Float32Array;
  /** NaN where unknown; null where file order is the time order. */
  time: Float64Array | null;
  /** As the log has it. */
  timeUnit?: TimeUnit;
  /** Other columns of the log, where they were asked for; rows stand beside `value`. */
  context?: ContextColumn[];
  /** All rows, those of user u in time order at [starts[u], starts[u + 1]); ties keep file order, unknown times come first. */
  order: Uint32Array;
  starts: Uint32Array;
  size: number;
  /** The lowest and the highest of what is predicted. */
  range: { least: number; most: number };
  /** Of the task `ctr`: the least rating that counts as positive. */
  positive: number | null;
  source: string;
  notes: string[];
}

/** The least positive rating where none is given: of five stars, or of a column of zeros and ones. */
const POSITIVE = 4;

/**
 * @param threshold of the task `ctr`: the least rating that counts as positive; by default 1 where all are 0 or 1, else 4
 * @throws InputError where there are no ratings, or nothing to tell apart
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
  const rows: number[] = [];
  for (let row = 0; row < log.size; row++) if (Number.isFinite(rating[row])) rows.push(row);
  const missing = log.size - rows.length;
  const notes = [...log.notes];
  if (missing > 0) notes.push(`${missing.toLocaleString('en-US')} rows without a rating left out`);
  if (rows.length < 2)
    throw new InputError('too-little-data', `${source}: ${rows.length} rows with a rating are too few to learn from`);

  const limit = threshold ?? (rows.every((row) => rating[row] === 0 || rating[row] === 1) ? 1 : POSITIVE);
  const value = Float32Array.from(rows, (row) => (task === 'ctr' ? Number(rating[row] >= limit) : rating[row]));
  const { level, levels } = levelsOf(value);
  if (levels.length < 2) {
    throw new InputError(
      'too-little-data',
      task === 'ctr'
        ? `${source}: every row is ${levels[0] ? 'positive' : 'negative'} with ${option('positive', limit)}, so there is nothing to tell apart`
        : `${source}: every rating is ${asWritten(levels[0])}, so there is nothing to predict`,
      { hint: task === 'ctr' ? 'choose another threshold' : `leave ${option('task')} out to rank the next item` },
    );
  }
  const time = log.time && Float64Array.from(rows, (row) => (log.time as Float64Array)[row]);
  // IDs of rows left out must not remain as users and items without a rating.
  const users = renumber(rows, log.user, log.userIds);
  const items = renumber(rows, log.item, log.itemIds);
  const { order, starts } = byUser(users.index, users.ids.length, time);
  const context = log.context?.map((column) => ({
    ...column,
    rows: Uint32Array.from(rows, (row) => column.rows[row]),
  }));
  return {
    userIds: users.ids,
    itemIds: items.ids,
    user: users.index,
    item: items.index,
    value,
    level,
    levels,
    time,
    ...(log.timeUnit && { timeUnit: log.timeUnit }),
    ...(context && { context }),
    order,
    starts,
    size: rows.length,
    range: task === 'ctr' ? { least: 0, most: 1 } : rangeOf(rows, rating),
    positive: task === 'ctr' ? limit : null,
    source,
    notes,
  };
}

function rangeOf(rows: readonly number[], rating: Float64Array): Ratings['range'] {
  const range = { least: Number.POSITIVE_INFINITY, most: Number.NEGATIVE_INFINITY };
  for (const row of rows) {
    range.least = Math.min(range.least, rating[row]);
    range.most = Math.max(range.most, rating[row]);
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

/** Which level each value is; quantiles of the values where too many are distinct. */
export function levelsOf(value: Float32Array): { level: Uint32Array; levels: Float32Array } {
  const distinct = Float32Array.from(new Set(value)).sort();
  if (distinct.length <= MOST_LEVELS) {
    const at = new Map(Array.from(distinct, (v, k) => [v, k]));
    return { level: Uint32Array.from(value, (v) => at.get(v) as number), levels: distinct };
  }
  const sorted = value.slice().sort();
  // Upper ends of the levels, each once; the last one takes what is left.
  const ends = new Set<number>();
  for (let k = 1; k <= MOST_LEVELS; k++) ends.add(sorted[Math.ceil((k * sorted.length) / MOST_LEVELS) - 1]);
  const upper = Float32Array.from(ends).sort();
  const level = Uint32Array.from(value, (v) => firstAtLeast(upper, v));
  const sums = new Float64Array(upper.length);
  const counts = new Float64Array(upper.length);
  value.forEach((v, i) => {
    sums[level[i]] += v;
    counts[level[i]]++;
  });
  return { level, levels: Float32Array.from(sums, (sum, k) => sum / counts[k]) };
}

/** The first place of a rising list whose entry is at least v; the last place where there is none. */
function firstAtLeast(rising: Float32Array, v: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle] >= v) high = middle;
    else low = middle + 1;
  }
  return low;
}

function renumber(rows: readonly number[], index: Uint32Array, ids: readonly string[]) {
  const place = new Int32Array(ids.length).fill(-1);
  const kept: string[] = [];
  const out = Uint32Array.from(rows, (row) => {
    const old = index[row];
    if (place[old] < 0) place[old] = kept.push(ids[old]) - 1;
    return place[old];
  });
  return { index: out, ids: kept };
}

/** Rows by user and time. */
export function byUser(user: Uint32Array, users: number, time: Float64Array | null) {
  const starts = new Uint32Array(users + 1);
  for (const u of user) starts[u + 1]++;
  for (let u = 0; u < users; u++) starts[u + 1] += starts[u];
  const next = starts.slice();
  const order = new Uint32Array(user.length);
  user.forEach((u, row) => {
    order[next[u]++] = row;
  });
  if (time) {
    const at = (row: number) => (Number.isNaN(time[row]) ? Number.NEGATIVE_INFINITY : time[row]);
    for (let u = 0; u < users; u++) {
      order.subarray(starts[u], starts[u + 1]).sort((a, b) => (at(a) < at(b) ? -1 : at(a) > at(b) ? 1 : a - b));
    }
  }
  return { order, starts };
}
