import { byUser, countsOf, renumber } from './by-user.ts';
import type { ValueColumn } from './column.ts';
import { InputError, option } from './errors.ts';
import { type TimeUnit, toSeconds } from './formats/times.ts';
import type { ContextColumn, Log, StoredLog } from './log.ts';
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
  items: ValueColumn;
  /** [interactions] NaN where unknown */
  ratings: ValueColumn<Float64Array> | null;
  /** [interactions] seconds since the earliest (data/formats/times.ts); null when file order is the time order */
  times: ValueColumn | null;
  /** [interactions] the log's own times, in its unit; NaN (unknown) comes first in a history; null without times */
  clock: ValueColumn<Float64Array> | null;
  /** the unit of `clock`, if the log states one */
  timeUnit?: TimeUnit;
  /** other columns of the log that were requested; their rows are those of `items` */
  context?: ContextColumn<ValueColumn>[];
  /** [interactions] 1 for an event that the model to be updated has not seen yet */
  fresh?: Uint8Array;
  report: PrepareReport;
}

/** A log that was filtered and sorted before (interop/dataset). */
export interface PreparedLog {
  dataset: Dataset;
  filter: PrepareOptions;
  /** what the log's columns were called, where not as usual */
  columns: Readonly<Record<string, string>>;
  /** the folder, for messages */
  source: string;
}

/**
 * The dataset of a log, filtered if it is not yet.
 * @throws InputError where a prepared one was filtered otherwise; see `prepare`
 */
export function datasetOf(log: Log | PreparedLog, options: PrepareOptions): Dataset {
  if (!('dataset' in log)) return prepare(log, options);
  for (const name of ['minInteractions', 'minRating'] as const) {
    const [was, asked] = [log.filter[name], options[name]];
    if (was === asked) continue;
    throw new InputError(
      'conflicting-settings',
      `${log.source}: prepared with ${option(name, was ?? 'none')}, not ${asked ?? 'none'}`,
      { hint: 'prepare the log again for another filter' },
    );
  }
  return log.dataset;
}

/**
 * Filters a log (minimum rating, then k-core), sorts each history by time and numbers what is left. Equal times keep
 * file order, and so do rows of unknown time, which come first. Repeated interactions are kept. Users and items are
 * numbered by first appearance among the rows that are kept.
 *
 * @throws InputError when nothing is left, saying what to change
 */
export function prepare(log: Log, options: PrepareOptions): Dataset {
  requireFilter(options);
  const { minInteractions } = options;
  const rated = filterByRating(log, options);
  const kept = coreRows(log, rated, minInteractions);
  if (kept.length === 0) throw nothingLeft(log, options, (k) => occurrencesOf(log, coreRows(log, rated, k)));

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
    report: makeReport(log, options, {
      rated: { rows: rated.length, ...occurrencesOf(log, rated) },
      users: users.ids.length,
      items: items.ids.length,
      interactions: kept.length,
    }),
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
function selectContext(context: readonly ContextColumn<ValueColumn>[], positions: ArrayLike<number>): ContextColumn[] {
  return context.map(({ name, values, rows }) => ({ name, values, rows: take(rows, positions) }));
}

/** Row numbers of the log whose rating suffices, in file order. */
function filterByRating(log: Log, options: PrepareOptions): Uint32Array {
  const { minRating } = options;
  const all = new Uint32Array(log.size);
  for (let row = 0; row < all.length; row++) all[row] = row;
  if (minRating === undefined) return all;
  requireRatings(log, options);
  const rating = log.rating as Float64Array;
  const rows = all.filter((row) => (rating[row] as number) >= minRating);
  if (rows.length === 0) throw ratingsTooLow(rating, log.source, options);
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

/** Rows of each user and of each item. */
export interface Occurrences {
  users: Uint32Array;
  items: Uint32Array;
}

function occurrencesOf(log: Log, rows: Uint32Array): Occurrences {
  return {
    users: countsOf(log.user, log.userIds.length, rows),
    items: countsOf(log.item, log.itemIds.length, rows),
  };
}

/** @throws InputError */
export function requireFilter({ minInteractions }: PrepareOptions): void {
  if (Number.isInteger(minInteractions) && minInteractions >= 1) return;
  throw new InputError('invalid-value', `expected an integer >= 1, got ${minInteractions}`, {
    setting: 'minInteractions',
  });
}

/** @throws InputError where a least rating is asked of a log without ratings */
export function requireRatings({ rating, source }: StoredLog, { minRating }: PrepareOptions): void {
  if (minRating === undefined || rating) return;
  throw new InputError('missing-column', `${source}: ${option('minRating')} requires a rating column`, {
    hint: `name it with ${option('columns.rating', 'NAME')}`,
  });
}

/** The error that no rating reaches the least one that counts. */
export function ratingsTooLow(rating: Iterable<number>, source: string, { minRating }: PrepareOptions): InputError {
  let highest = Number.NEGATIVE_INFINITY;
  for (const value of rating) if (value > highest) highest = value;
  return new InputError(
    'too-little-data',
    `${source}: no rating reaches ${option('minRating', minRating)}; the highest is ${highest}`,
  );
}

/** The error that the k-core is empty. @param core occurrences in a smaller core */
export function nothingLeft(
  { source, size }: Pick<Log, 'source' | 'size'>,
  options: PrepareOptions,
  core: (k: number) => Occurrences,
): InputError {
  let k = options.minInteractions - 1;
  while (k > 0 && !isUseful(core(k))) k--;
  const rule = `every user and every item must have ${options.minInteractions} interactions`;
  const rating = options.minRating === undefined ? '' : `, or a lower ${option('minRating')} than ${options.minRating}`;
  const advice =
    k > 0
      ? `try ${option('minInteractions', k)}${rating}`
      : `a lower ${option('minInteractions')} does not help: too few users have three interactions and more; give a larger log${rating}`;
  return new InputError('too-little-data', `${source}: nothing is left of ${count(size, 'row')}, since ${rule}`, {
    hint: advice,
  });
}

/** Whether leave-one-out has something to train, to validate and to test on, and there are two items to choose from. */
function isUseful({ users, items }: Occurrences): boolean {
  const trains = users.some((n) => n === 2 || n >= 4);
  return trains && users.some((n) => n >= 3) && items.filter(Boolean).length > 1;
}

/** What is left after the filters. */
interface Remaining {
  /** of the rows whose rating suffices */
  rated: Occurrences & { rows: number };
  users: number;
  items: number;
  interactions: number;
}

export function makeReport(
  log: Pick<StoredLog, 'size' | 'rating' | 'notes'>,
  options: PrepareOptions,
  { rated, users, items, interactions }: Remaining,
): PrepareReport {
  const present = (counts: Uint32Array): number => counts.filter(Boolean).length;
  const notes = [...log.notes];
  if (options.minRating === undefined && log.rating) {
    notes.push(
      `the log has ratings: every row counts as positive, whatever its rating (${option('minRating', 'R')} changes that)`,
    );
  }
  const report: PrepareReport = {
    rows: log.size,
    removedByRating: log.size - rated.rows,
    removedInteractions: rated.rows - interactions,
    removedUsers: present(rated.users) - users,
    removedItems: present(rated.items) - items,
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
