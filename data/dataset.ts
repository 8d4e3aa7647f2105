import { byUser, countsOf, renumber } from './by-user.ts';
import { InputError, option } from './errors.ts';
import { type TimeUnit, toSeconds } from './formats/times.ts';
import type { ContextColumn, Log } from './log.ts';
import { take } from './spans.ts';

export interface PrepareOptions {
  /** k of the k-core: users and items with fewer interactions are removed, repeatedly, until all that are left have k */
  minInteractions: number;
  /** interactions with a lower rating are removed; without it none */
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
  /** What to know besides these numbers. */
  notes: string[];
  /** All of it, to print. */
  lines: string[];
}

/** Histories in compact arrays: user u's events are at [offsets[u], offsets[u + 1]), oldest first. */
export interface Dataset {
  userIds: string[];
  itemIds: string[];
  /** [users + 1] */
  offsets: Uint32Array;
  /** [interactions] row of the item, 0 … V−1 */
  items: Uint32Array;
  /** [interactions] NaN where unknown */
  ratings: Float64Array | null;
  /** [interactions] seconds since the earliest (data/formats/times.ts); null when file order is the time order */
  times: Uint32Array | null;
  /** [interactions] the log's own times, in its unit; NaN (unknown) comes first in a history; null without times */
  clock: Float64Array | null;
  /** the unit of `clock`, if the log states one */
  timeUnit?: TimeUnit;
  /** other columns of the log that were requested; their rows are those of `items` */
  context?: ContextColumn[];
  /** [interactions] 1 for an event that the model to be updated has not seen yet */
  fresh?: Uint8Array;
  report: PrepareReport;
}

/**
 * Filters a log (minimum rating, then k-core), sorts each history by time and numbers what is left. Equal times keep
 * file order, and so do rows of unknown time, which come first. Repeated interactions are kept. Users and items are
 * numbered by first appearance among the rows that are kept.
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
  const { order, starts } = byUser(users.numbers, users.ids.length, log.time && take(log.time, kept));
  const rows = take(kept, order);
  const { rating, time, timeUnit, context, fresh } = log;
  const clock = time && take(time, rows);
  return {
    userIds: users.ids,
    itemIds: items.ids,
    offsets: starts,
    items: take(items.numbers, order),
    ratings: rating && take(rating, rows),
    times: clock && toSeconds(clock, starts, timeUnit),
    clock,
    ...(timeUnit && { timeUnit }),
    ...(context && { context: selectContext(context, rows) }),
    ...(fresh && { fresh: Uint8Array.from(rows, (row) => fresh[row] as number) }),
    report: makeReport(log, rated, kept.length, users.ids.length, items.ids.length, options),
  };
}

/** The columns of a dataset at some positions of it. */
export function selectEvents(dataset: Dataset, positions: ArrayLike<number>) {
  const { items, ratings, times, clock, context, fresh } = dataset;
  return {
    items: take(items, positions),
    ratings: ratings && take(ratings, positions),
    times: times && take(times, positions),
    clock: clock && take(clock, positions),
    ...(context && { context: selectContext(context, positions) }),
    ...(fresh && { fresh: Uint8Array.from(positions, (at) => fresh[at] as number) }),
  };
}

/** Context columns of the events at `positions`. */
function selectContext(context: readonly ContextColumn[], positions: ArrayLike<number>): ContextColumn[] {
  return context.map(({ name, values, rows }) => ({ name, values, rows: take(rows, positions) }));
}

/** Row numbers of the log whose rating suffices, in file order. */
function filterByRating(log: Log, minRating: number | undefined): Uint32Array {
  const all = Uint32Array.from({ length: log.size }, (_, row) => row);
  if (minRating === undefined) return all;
  const { rating } = log;
  if (!rating) {
    throw new InputError('missing-column', `${log.source}: ${option('minRating')} requires a rating column`, {
      hint: `name it with ${option('columns.rating', 'NAME')}`,
    });
  }
  const rows = all.filter((row) => (rating[row] as number) >= minRating);
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
    const users = countsOf(log.user, log.userIds.length, kept);
    const items = countsOf(log.item, log.itemIds.length, kept);
    const enough = (row: number): boolean =>
      (users[log.user[row] as number] as number) >= k && (items[log.item[row] as number] as number) >= k;
    const next = kept.filter(enough);
    if (next.length === kept.length) return kept;
    kept = next;
  }
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

/** Whether leave-one-out has something to train, to validate and to test on, and there are two items to choose from. */
function isUseful(log: Log, rows: Uint32Array): boolean {
  const users = countsOf(log.user, log.userIds.length, rows);
  const trains = users.some((n) => n === 2 || n >= 4);
  const items = new Set(take(log.item, rows));
  return trains && users.some((n) => n >= 3) && items.size > 1;
}

function makeReport(
  log: Log,
  rated: Uint32Array,
  interactions: number,
  users: number,
  items: number,
  options: PrepareOptions,
): PrepareReport {
  const present = (column: Uint32Array, size: number): number => countsOf(column, size, rated).filter(Boolean).length;
  const notes = [...log.notes];
  if (options.minRating === undefined && log.rating) {
    notes.push(
      `the log has ratings: every row counts as positive, whatever its rating (${option('minRating', 'R')} changes that)`,
    );
  }
  const report: PrepareReport = {
    rows: log.size,
    removedByRating: log.size - rated.length,
    removedInteractions: rated.length - interactions,
    removedUsers: present(log.user, log.userIds.length) - users,
    removedItems: present(log.item, log.itemIds.length) - items,
    users,
    items,
    interactions,
    notes,
    lines: [...notes],
  };
  const { lines } = report;
  if (options.minRating !== undefined) {
    lines.push(`${count(report.removedByRating, 'row')} removed with a rating below ${options.minRating} or none`);
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
