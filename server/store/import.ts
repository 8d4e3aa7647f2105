/** Fills an empty store from a log, as models are trained on. */
import { type ContextColumn, contextAt, type Log } from '../../data/log.ts';
import { type TimeUnit, toMilliseconds } from '../../data/formats/times.ts';
import { InputError, option } from '../../data/errors.ts';
import type { ItemInfo } from '../../data/formats/catalog.ts';
import type { Store, StoredEvent } from './store.ts';

/** Rows that one transaction saves. */
const PART = 20_000;

export interface Imported {
  log: Log;
  items: ReadonlyMap<string, ItemInfo> | null;
  users: ReadonlyMap<string, Record<string, string>> | null;
  /** Rows with a lower rating are left out, as the model's training left them out. */
  minRating: number | null;
}

/** How far a store is filled: an import that was interrupted may be continued. */
export async function importState(store: Store): Promise<'empty' | 'interrupted' | 'filled'> {
  if ((await store.importing()) !== null) return 'interrupted';
  const { users, items, events } = await store.sizes();
  return users + items + events === 0 ? 'empty' : 'filled';
}

/** @throws InputError where an import was interrupted: what is served and added meanwhile would be taken for a part of it */
export async function requireWhole(store: Store): Promise<void> {
  if ((await importState(store)) === 'interrupted')
    throw new InputError('too-little-data', `${store.name}: holds part of a log, whose import was interrupted`, {
      hint: `continue with ${option('data')}, or start with an empty store`,
    });
}

/**
 * Fills the store, a transaction for some thousand rows. Events keep the order of the log where their times are equal or
 * unknown; those without a time come before the others of their user.
 * @param onProgress rows done so far, of all that `rowsOf` counts
 * @returns events in the store
 * @throws InputError where the store holds the interrupted import of another log
 */
export async function importLog(
  store: Store,
  { log, items, users, minRating }: Imported,
  onProgress: (rows: number) => void,
): Promise<number> {
  const { rating, size, timeUnit = 'order' } = log;
  const counts = (row: number): boolean => minRating === null || !rating || rating[row] >= minRating;
  const note = JSON.stringify({ source: log.source, size, minRating });
  const before = await store.importing();
  if (before !== null && before !== note)
    throw new InputError('mismatched-data', `${store.name}: holds part of another log, whose import was interrupted`, {
      hint: `name that log with ${option('data')} to continue, or start with an empty store`,
    });
  await store.startImport(note);
  for (const part of parts(users ?? [])) await store.putUsers(part.map(([id, columns]) => ({ id, columns })));
  for (const part of parts(items ?? []))
    await store.putItems(
      part.map(([id, { title, attributes }]) => ({ id, title: title === id ? null : title, attributes })),
      Date.now(),
    );
  // Parts are saved in order, each of them whole or not at all: as many events as are there are done.
  let done = (await store.sizes()).events;
  const times = timesOf(log.time, timeUnit);
  let row = 0;
  for (let skipped = 0; skipped < done && row < size; row++) skipped += Number(counts(row));
  while (row < size) {
    const part: StoredEvent[] = [];
    for (; row < size && part.length < PART; row++) if (counts(row)) part.push(eventAt(log, row, times(row)));
    await store.addEvents(part);
    done += part.length;
    onProgress(row);
  }
  await store.endImport();
  return done;
}

function* parts<T>(all: Iterable<T>): Generator<T[]> {
  let part: T[] = [];
  for (const one of all) {
    part.push(one);
    if (part.length < PART) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** Milliseconds since 1970 of each row; what is unknown, or counts something else than time, lies at or before 1970. */
function timesOf(times: Float64Array | null, unit: TimeUnit): (row: number) => number {
  if (!times) return () => 0;
  let least = 0;
  for (const time of times) if (time < least) least = time;
  return (row) => toMilliseconds(Number.isNaN(times[row]) ? least : times[row], unit);
}

function eventAt({ userIds, itemIds, user, item, rating, context }: Log, row: number, time: number): StoredEvent {
  const own = context ? contextOf(context, row) : null;
  return {
    user: userIds[user[row]],
    item: itemIds[item[row]],
    type: 'interaction',
    time,
    rating: rating && !Number.isNaN(rating[row]) ? rating[row] : null,
    context: own,
    id: null,
  };
}

/** Columns of the log with a value; null without any. */
function contextOf(columns: readonly ContextColumn[], row: number): Record<string, string> | null {
  const known = Object.entries(contextAt(columns, row)).filter(([, value]) => value !== undefined && value !== '');
  return known.length > 0 ? (Object.fromEntries(known) as Record<string, string>) : null;
}
