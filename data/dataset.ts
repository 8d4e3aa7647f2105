import { InputError, option } from './errors.ts';
import type { ContextColumn, Log } from './log.ts';
import { type TimeUnit, toSeconds } from './formats/times.ts';

export { type SplitPart, requireTrainable, type Split, splitDataset } from './splits/split.ts';

export interface PrepareOptions {
  /** k of the k-core: users and items with fewer interactions go, repeatedly, until every one left has k */
  minInteractions: number;
  /** interactions rated lower do not count; without it all do */
  minRating?: number;
}

/** What the filters removed, in numbers and in lines to print. */
export interface PrepareReport {
  rows: number;
  /** rows below `minRating` or without a rating */
  removedByRating: number;
  /** by the k-core */
  removedInteractions: number;
  removedUsers: number;
  removedItems: number;
  users: number;
  items: number;
  interactions: number;
  lines: string[];
}

/** Histories in compact arrays: user u did items[offsets[u] … offsets[u + 1]), oldest first. */
export interface Dataset {
  userIds: string[];
  itemIds: string[];
  /** [users + 1] */
  offsets: Uint32Array;
  /** [interactions] row of the item, 0 … V−1 */
  items: Uint32Array;
  /** [interactions] beside `items`; NaN where unknown */
  ratings: Float64Array | null;
  /** [interactions] beside `items`, seconds since the earliest (data/formats/times.ts); null when file order is the time order */
  times: Uint32Array | null;
  /** [interactions] beside `items`: the log's own times, in its unit; NaN (unknown) comes first in a history; null when
   * the log has no time */
  clock: Float64Array | null;
  /** what `clock` is counted in, where the log says so */
  timeUnit?: TimeUnit;
  /** other columns of the log, where they were asked for; rows stand beside `items` */
  context?: ContextColumn[];
  report: PrepareReport;
}

/**
 * Filters a log (minimum rating, then k-core), orders each history by time and numbers what is left. Equal times keep
 * file order, and so do rows of unknown time, which come first. Repeated interactions stay. Users and items are
 * numbered by first appearance among the rows that stay.
 *
 * @throws InputError when nothing is left, saying what to change
 */
export function prepare(log: Log, options: PrepareOptions): Dataset {
  const { minInteractions, minRating } = options;
  if (!Number.isInteger(minInteractions) || minInteractions < 1) {
    throw new InputError('invalid-value', `expected an integer >= 1, got ${minInteractions}`, {
      setting: 'minInteractions',
    });
  }
  const rated = filterByRating(log, minRating);
  const kept = coreRows(log, rated, minInteractions);
  if (kept.length === 0) throw nothingLeft(log, rated, options);

  const users = renumber(kept, log.user, log.userIds);
  const items = renumber(kept, log.item, log.itemIds);
  const offsets = new Uint32Array(users.ids.length + 1);
  for (const row of kept) offsets[users.rows[log.user[row]] + 1]++;
  for (let u = 0; u < users.ids.length; u++) offsets[u + 1] += offsets[u];

  const order = new Uint32Array(kept.length);
  const next = offsets.slice();
  for (const row of kept) order[next[users.rows[log.user[row]]]++] = row;
  if (log.time) sortByTime(order, offsets, log.time);

  const { rating, time } = log;
  return {
    userIds: users.ids,
    itemIds: items.ids,
    offsets,
    items: order.map((row) => items.rows[log.item[row]]),
    ratings: rating && Float64Array.from(order, (row) => rating[row]),
    times:
      log.time &&
      toSeconds(
        Float64Array.from(order, (row) => (log.time as Float64Array)[row]),
        offsets,
        log.timeUnit,
      ),
    clock: time && Float64Array.from(order, (row) => time[row]),
    ...(log.timeUnit && { timeUnit: log.timeUnit }),
    ...(log.context && { context: selectContext(log.context, order) }),
    report: makeReport(log, rated, kept.length, users.ids.length, items.ids.length, options),
  };
}

/** Context columns of the events at `places`. */
export function selectContext(context: readonly ContextColumn[], places: Uint32Array): ContextColumn[] {
  return context.map(({ name, values, rows }) => ({ name, values, rows: places.map((at) => rows[at]) }));
}

/** Row numbers of the log that count, in file order. */
function filterByRating(log: Log, minRating: number | undefined): Uint32Array {
  const all = Uint32Array.from({ length: log.size }, (_, row) => row);
  if (minRating === undefined) return all;
  const { rating } = log;
  if (!rating) {
    throw new InputError('missing-column', `${log.source}: ${option('minRating')} requires a rating column`, {
      hint: `name it with ${option('columns.rating', 'NAME')}`,
    });
  }
  const rows = all.filter((row) => rating[row] >= minRating);
  if (rows.length === 0) {
    const highest = rating.reduce(
      (best, value) => Math.max(best, Number.isNaN(value) ? best : value),
      Number.NEGATIVE_INFINITY,
    );
    throw new InputError(
      'too-little-data',
      `${log.source}: no rating reaches ${option('minRating', minRating)}; the highest is ${highest}`,
    );
  }
  return rows;
}

/** The k-core: the largest set of rows in which every user and every item has k rows. It is unique. */
function coreRows(log: Log, rows: Uint32Array, k: number): Uint32Array {
  let kept = rows;
  while (true) {
    const users = new Uint32Array(log.userIds.length);
    const items = new Uint32Array(log.itemIds.length);
    for (const row of kept) {
      users[log.user[row]]++;
      items[log.item[row]]++;
    }
    const next = kept.filter((row) => users[log.user[row]] >= k && items[log.item[row]] >= k);
    if (next.length === kept.length) return kept;
    kept = next;
  }
}

/** New numbers, by first appearance, for the users or items that still have rows. */
function renumber(kept: Uint32Array, column: Uint32Array, names: string[]): { ids: string[]; rows: Int32Array } {
  const ids: string[] = [];
  const rows = new Int32Array(names.length).fill(-1);
  for (const row of kept) {
    if (rows[column[row]] >= 0) continue;
    rows[column[row]] = ids.length;
    ids.push(names[column[row]]);
  }
  return { ids, rows };
}

/** Sorts each user's rows by time, stably; NaN (unknown) comes first. */
function sortByTime(order: Uint32Array, offsets: Uint32Array, times: Float64Array): void {
  const at = (row: number): number => (Number.isNaN(times[row]) ? Number.NEGATIVE_INFINITY : times[row]);
  const earlier = (a: number, b: number): number => {
    const [x, y] = [at(a), at(b)];
    return x < y ? -1 : x > y ? 1 : a - b;
  };
  for (let u = 0; u + 1 < offsets.length; u++) order.subarray(offsets[u], offsets[u + 1]).sort(earlier);
}

function nothingLeft(log: Log, rated: Uint32Array, options: PrepareOptions): InputError {
  let k = options.minInteractions - 1;
  while (k > 0 && !isUseful(log, coreRows(log, rated, k))) k--;
  const rule = `every user and every item must have ${options.minInteractions} interactions`;
  const rating = options.minRating === undefined ? '' : `, or a lower ${option('minRating')} than ${options.minRating}`;
  const advice =
    k > 0
      ? `try ${option('minInteractions', k)}${rating}`
      : `a lower ${option('minInteractions')} does not help: too few users have three interactions and more; give a larger log${rating}`;
  return new InputError(
    'too-little-data',
    `${log.source}: nothing is left of ${count(log.size, 'row')}, since ${rule}`,
    { hint: advice },
  );
}

/** Whether leave-one-out finds something to train, to validate and to test on, and two items to choose from. */
function isUseful(log: Log, rows: Uint32Array): boolean {
  const users = new Uint32Array(log.userIds.length);
  for (const row of rows) users[log.user[row]]++;
  const trains = users.some((n) => n === 2 || n >= 4);
  return trains && users.some((n) => n >= 3) && rows.some((row) => log.item[row] !== log.item[rows[0]]);
}

function makeReport(
  log: Log,
  rated: Uint32Array,
  interactions: number,
  users: number,
  items: number,
  options: PrepareOptions,
): PrepareReport {
  const present = (column: Uint32Array, size: number): number => {
    const seen = new Uint8Array(size);
    for (const row of rated) seen[column[row]] = 1;
    return seen.reduce((sum, value) => sum + value, 0);
  };
  const report: PrepareReport = {
    rows: log.size,
    removedByRating: log.size - rated.length,
    removedInteractions: rated.length - interactions,
    removedUsers: present(log.user, log.userIds.length) - users,
    removedItems: present(log.item, log.itemIds.length) - items,
    users,
    items,
    interactions,
    lines: [...log.notes],
  };
  const { lines } = report;
  if (options.minRating !== undefined) {
    lines.push(`${count(report.removedByRating, 'row')} removed with a rating below ${options.minRating} or none`);
  } else if (log.rating) {
    lines.push(
      `the log has ratings: every row counts as positive, whatever its rating (${option('minRating', 'R')} changes that)`,
    );
  }
  const k = options.minInteractions;
  if (report.removedInteractions > 0) {
    const users = count(report.removedUsers, 'user');
    const items = count(report.removedItems, 'item');
    const rows = count(report.removedInteractions, 'interaction');
    lines.push(`the ${k}-core filter removed ${users}, ${items} and ${rows} (${option('minInteractions', k)})`);
  }
  lines.push(`${count(users, 'user')}, ${count(items, 'item')}, ${count(interactions, 'interaction')}`);
  return report;
}

function count(n: number, what: string): string {
  return `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
}
