/**
 * Filters, numbers and sorts a log whose rows are in files, and writes it as a dataset (manifest.ts): the same as
 * `prepare` (data/dataset.ts) makes in memory. Memory holds the IDs, some numbers of each user and item, one bit of each
 * row, and the events of one part:
 *
 *   1. the k-core, pass by pass over the rows, until nothing more falls out
 *   2. users and items are numbered by first appearance
 *   3. rows are distributed to parts, each of consecutive users with about EVENTS events
 *   4. each part is sorted in memory, and written
 */
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { byUser } from '../../data/by-user.ts';
import type { ValueColumn, ColumnValues } from '../../data/column.ts';
import {
  makeReport,
  nothingLeft,
  type Occurrences,
  type PrepareOptions,
  type PrepareReport,
  ratingsTooLow,
  requireFilter,
  requireRatings,
} from '../../data/dataset.ts';
import { InputError, option } from '../../data/errors.ts';
import { toSeconds } from '../../data/formats/times.ts';
import type { ColumnStore, StoredLog } from '../../data/log.ts';
import { spanAt, take } from '../../data/spans.ts';
import { explain } from '../../recommend/sources/files.node.ts';
import { f64, FileWriter, readColumn, SpilledColumn, u32 } from './columns.node.ts';
import { isDataset } from './open.node.ts';
import { type FileEntry, type Manifest, DATASET_FILE, newManifest, partFile } from './manifest.ts';

/** Events of a part, about; more where that made too many parts. */
const EVENTS = 1 << 21;
const MOST_PARTS = 512;
/** Rows that are looked at, and distributed, at once. */
const BLOCK = 1 << 16;
const DISTRIBUTED = 1 << 20;
/** The folder of rows that are not sorted yet, in that of the dataset. */
const ROWS = '.rows';

/** What is done, and its share, 0 to 1. It may throw to stop. */
export type PreparePause = (phase: 'filtering' | 'numbering' | 'sorting', done: number) => Promise<void>;

/** Where a dataset is written. */
export class DatasetFolder {
  readonly dir: string;
  private columns = 0;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /**
   * Makes the folder, empties it of an older dataset.
   * @throws InputError where it holds something else, or a dataset that is not to be replaced
   */
  static create(dir: string, overwrite: boolean): DatasetFolder {
    const folder = new DatasetFolder(dir);
    try {
      mkdirSync(dir, { recursive: true });
      if (!overwrite && isDataset(dir)) {
        throw new InputError('already-exists', `${dir}: already holds a dataset`, {
          hint: `replace it with ${option('overwrite')}, or choose another folder`,
        });
      }
      rmSync(path.join(dir, DATASET_FILE), { force: true });
      folder.clean();
      mkdirSync(path.join(dir, ROWS));
    } catch (error) {
      throw explain(error, dir, 'write');
    }
    return folder;
  }

  /** For the rows of a log as they are read. */
  get store(): ColumnStore {
    const next = () => path.join(this.dir, ROWS, `log-${this.columns++}`);
    return { u32: () => new SpilledColumn(next(), u32), f64: () => new SpilledColumn(next(), f64) };
  }

  rows(name: string): string {
    return path.join(this.dir, ROWS, name);
  }

  /** Removes the rows. */
  clean(): void {
    rmSync(path.join(this.dir, ROWS), { recursive: true, force: true });
  }
}

/** How much is held at once: events of a part, rows that are distributed. */
export interface Sizes {
  part: number;
  distributed: number;
}

/** Writes the dataset of a log. @throws InputError where the filter leaves nothing; see `prepare` */
export async function writeDataset(
  folder: DatasetFolder,
  log: StoredLog,
  filter: PrepareOptions,
  about: Pick<Manifest, 'columns' | 'sources'>,
  pause: PreparePause,
  { part: most, distributed }: Sizes = { part: EVENTS, distributed: DISTRIBUTED },
): Promise<PrepareReport> {
  requireFilter(filter);
  requireRatings(log, filter);
  const rows = new Rows(log);
  const rated = { rows: await rows.filterByRating(filter, pause), ...rows.occurrences() };
  await rows.filterByCore(filter.minInteractions, (done) => pause('filtering', done));
  if (rows.left === 0) {
    throw nothingLeft(log, filter, (k) => new Rows(log).coreOf(filter, k));
  }
  const numbered = await rows.number((done) => pause('numbering', done));
  const { users, items, starts } = numbered;
  const report = makeReport(log, filter, { rated, users: users.length, items: items.length, interactions: rows.left });
  const files: Record<string, FileEntry> = {};
  const write = (name: string, ...values: ArrayBufferView[]): void => {
    const writer = new FileWriter(path.join(folder.dir, name));
    for (const one of values) writer.write(one);
    files[name] = writer.close();
  };
  writeIds(write, 'users.ids', users, log.userIds);
  writeIds(write, 'items.ids', items, log.itemIds);
  write('histories.u32', starts);
  log.context?.forEach(({ name, values }, i) => {
    writeIds(write, `context-${i}.values`, Uint32Array.from(values.keys()), values, name);
  });
  const columns = columnsOf(log);
  const parts = partsOf(starts, most);
  const least = await distribute(folder, rows, numbered, columns, parts, distributed, pause);
  for (const [p, { from, to }] of parts.entries()) {
    await pause('sorting', 0.5 + (0.5 * p) / parts.length);
    const own = starts.subarray(from, to + 1);
    for (const [name, values] of sortedPart(folder, p, from, own, columns, log, least))
      write(partFile(p, name), values);
  }
  folder.clean();
  const manifest = newManifest({
    users: users.length,
    items: items.length,
    interactions: rows.left,
    filter: {
      minInteractions: filter.minInteractions,
      ...(filter.minRating !== undefined && { minRating: filter.minRating }),
    },
    columns: about.columns,
    events: [...columns.keys()].flatMap((name) => (name === 'clock.f64' ? ['times.u32', name] : [name])),
    ...(log.time && log.timeUnit && { timeUnit: log.timeUnit }),
    context: (log.context ?? []).map(({ name }) => name),
    parts: parts.map(({ from, to }) => ({ users: to - from, interactions: starts[to] - starts[from] })),
    files,
    report,
    sources: about.sources,
  });
  const file = path.join(folder.dir, DATASET_FILE);
  try {
    writeFileSync(`${file}.tmp`, `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
    renameSync(`${file}.tmp`, file);
  } catch (error) {
    throw explain(error, file, 'write');
  }
  return report;
}

/** The columns of events, by the names of their files, as they are in the log. */
function columnsOf(log: StoredLog): Map<string, ValueColumn<ColumnValues>> {
  const columns = new Map<string, ValueColumn<ColumnValues>>([['items.u32', log.item]]);
  if (log.time) columns.set('clock.f64', log.time);
  if (log.rating) columns.set('ratings.f64', log.rating);
  log.context?.forEach(({ rows }, i) => columns.set(`context-${i}.u32`, rows));
  return columns;
}

/** The rows of a log, of which some are kept. */
class Rows {
  left: number;
  readonly log: StoredLog;
  /** a bit of each row */
  private readonly kept: Uint8Array;

  constructor(log: StoredLog) {
    this.log = log;
    this.left = log.size;
    this.kept = new Uint8Array(Math.ceil(log.size / 8)).fill(255);
  }

  has(row: number): boolean {
    return ((this.kept[row >> 3] >> (row & 7)) & 1) === 1;
  }

  private drop(row: number): void {
    this.kept[row >> 3] &= ~(1 << (row & 7));
    this.left--;
  }

  /** @returns how many are left */
  async filterByRating(filter: PrepareOptions, pause: PreparePause): Promise<number> {
    const { rating, source, size } = this.log;
    const { minRating } = filter;
    if (minRating === undefined || !rating) return this.left;
    for (let from = 0; from < size; from += BLOCK) {
      rating.subarray(from, from + BLOCK).forEach((value, i) => {
        if (!(value >= minRating)) this.drop(from + i);
      });
      await pause('filtering', from / size);
    }
    if (this.left === 0) throw ratingsTooLow(rating, source, filter);
    return this.left;
  }

  /** Of the rows that are kept. */
  occurrences(): Occurrences {
    const { user, item, userIds, itemIds, size } = this.log;
    const counts = { users: new Uint32Array(userIds.length), items: new Uint32Array(itemIds.length) };
    for (let from = 0; from < size; from += BLOCK) {
      const users = user.subarray(from, from + BLOCK);
      const items = item.subarray(from, from + BLOCK);
      for (let i = 0; i < users.length; i++) {
        if (!this.has(from + i)) continue;
        counts.users[users[i]]++;
        counts.items[items[i]]++;
      }
    }
    return counts;
  }

  /** Drops rows in turn until each user and item that is left has k. The core is unique, whatever the order. */
  async filterByCore(k: number, pause: (done: number) => Promise<void>): Promise<void> {
    const counts = this.occurrences();
    const { size } = this.log;
    for (let dropped = -1; dropped !== 0; ) {
      dropped = 0;
      for (let from = 0; from < size; from += BLOCK) {
        dropped += this.dropBelow(k, counts, from);
        await pause(from / size);
      }
    }
  }

  /** Drops rows of a block that are below k, and counts them out. */
  private dropBelow(k: number, { users, items }: Occurrences, from: number): number {
    const { user, item } = this.log;
    const own = user.subarray(from, from + BLOCK);
    const others = item.subarray(from, from + BLOCK);
    const before = this.left;
    for (let i = 0; i < own.length; i++) {
      const [u, v] = [own[i], others[i]];
      if ((users[u] >= k && items[v] >= k) || !this.has(from + i)) continue;
      users[u]--;
      items[v]--;
      this.drop(from + i);
    }
    return before - this.left;
  }

  /** Occurrences in the k-core of the rated rows, at once: for the error where a larger one is empty. */
  coreOf({ minRating }: PrepareOptions, k: number): Occurrences {
    const { rating, size } = this.log;
    if (minRating !== undefined && rating) {
      let row = 0;
      for (const value of rating) {
        if (!(value >= minRating)) this.drop(row);
        row++;
      }
    }
    const counts = this.occurrences();
    for (let dropped = -1; dropped !== 0; ) {
      dropped = 0;
      for (let from = 0; from < size; from += BLOCK) dropped += this.dropBelow(k, counts, from);
    }
    return counts;
  }

  /** Numbers users and items by first appearance. */
  async number(pause: (done: number) => Promise<void>): Promise<Numbered> {
    const { user, item, userIds, itemIds, size } = this.log;
    const [userOf, itemOf] = [new Numbering(userIds.length), new Numbering(itemIds.length)];
    const counts = new Uint32Array(userIds.length);
    for (let from = 0; from < size; from += BLOCK) {
      const users = user.subarray(from, from + BLOCK);
      const items = item.subarray(from, from + BLOCK);
      for (let i = 0; i < users.length; i++) {
        if (!this.has(from + i)) continue;
        counts[userOf.add(users[i])]++;
        itemOf.add(items[i]);
      }
      await pause(from / size);
    }
    const users = userOf.finish();
    const starts = new Uint32Array(users.length + 1);
    for (let u = 0; u < users.length; u++) starts[u + 1] = starts[u] + counts[u];
    return { users, items: itemOf.finish(), starts, newUser: userOf.numbers, newItem: itemOf.numbers };
  }
}

interface Numbered {
  /** by new number: the old one */
  users: Uint32Array;
  items: Uint32Array;
  /** [users + 1] where each user's events start */
  starts: Uint32Array;
  /** by old number: the new one */
  newUser: Int32Array;
  newItem: Int32Array;
}

class Numbering {
  readonly numbers: Int32Array;
  private readonly old: Uint32Array;
  private count = 0;

  constructor(size: number) {
    this.numbers = new Int32Array(size).fill(-1);
    this.old = new Uint32Array(size);
  }

  add(old: number): number {
    if (this.numbers[old] < 0) {
      this.numbers[old] = this.count;
      this.old[this.count++] = old;
    }
    return this.numbers[old];
  }

  finish(): Uint32Array {
    return this.old.slice(0, this.count);
  }
}

/** Divides users into runs [from, to). */
function partsOf(starts: Uint32Array, events: number): { from: number; to: number }[] {
  const users = starts.length - 1;
  const most = Math.max(events, Math.ceil(starts[users] / MOST_PARTS));
  const parts: { from: number; to: number }[] = [];
  for (let from = 0; from < users; ) {
    let to = from + 1;
    while (to < users && starts[to + 1] - starts[from] <= most) to++;
    parts.push({ from, to });
    from = to;
  }
  return parts;
}

/** Appends each row that is kept to the files of its user's part. @returns the earliest time */
async function distribute(
  folder: DatasetFolder,
  rows: Rows,
  { newUser, newItem, starts }: Numbered,
  columns: ReadonlyMap<string, ValueColumn<ColumnValues>>,
  parts: readonly { from: number; to: number }[],
  most: number,
  pause: PreparePause,
): Promise<number> {
  const partOf = new Uint32Array(starts.length - 1);
  for (const [p, { from, to }] of parts.entries()) partOf.fill(p, from, to);
  const { user, size } = rows.log;
  let least = Number.POSITIVE_INFINITY;
  for (let first = 0; first < size; first += most) {
    await pause('sorting', (0.5 * first) / size);
    const users = user.subarray(first, first + most);
    const kept: number[] = [];
    for (let i = 0; i < users.length; i++) if (rows.has(first + i)) kept.push(i);
    const own = Uint32Array.from(kept, (i) => newUser[users[i]]);
    const { order, starts: runs } = byUser(
      own.map((u) => partOf[u]),
      parts.length,
      null,
    );
    const positions = take(Uint32Array.from(kept), order);
    const append = (name: string, values: ColumnValues): void => {
      for (let p = 0; p < parts.length; p++) {
        const [from, to] = spanAt(runs, p);
        const file = folder.rows(partFile(p, name));
        try {
          if (to > from)
            appendFileSync(
              file,
              new Uint8Array(values.buffer, values.BYTES_PER_ELEMENT * from, values.BYTES_PER_ELEMENT * (to - from)),
            );
        } catch (error) {
          throw explain(error, file, 'write');
        }
      }
    };
    append('users', take(own, order));
    for (const [name, column] of columns) {
      const values = take<ColumnValues>(column.subarray(first, first + most), positions);
      append(name, name === 'items.u32' ? (values as unknown as Uint32Array).map((item) => newItem[item]) : values);
      if (name === 'clock.f64') for (const time of values) if (time < least) least = time;
    }
  }
  return least;
}

/** The columns of a part, each user's events in time order. @param own where the part's users start among all events */
function* sortedPart(
  folder: DatasetFolder,
  part: number,
  firstUser: number,
  own: Uint32Array,
  columns: ReadonlyMap<string, ValueColumn<ColumnValues>>,
  { timeUnit }: StoredLog,
  least: number,
): Generator<[name: string, values: ColumnValues]> {
  const length = own[own.length - 1] - own[0];
  const read = (name: string): ColumnValues => {
    const file = { path: folder.rows(partFile(part, name)), length };
    return name.endsWith('.f64') ? readColumn(file, f64) : readColumn(file, u32);
  };
  const users = (read('users') as Uint32Array).map((u) => u - firstUser);
  const clock = columns.has('clock.f64') ? (read('clock.f64') as Float64Array) : null;
  const { order, starts } = byUser(users, own.length - 1, clock);
  for (const name of columns.keys()) {
    const values = take<ColumnValues>(name === 'clock.f64' && clock ? clock : read(name), order);
    yield [name, values];
    if (name === 'clock.f64') yield ['times.u32', toSeconds(values, starts, timeUnit, least)];
  }
}

type Write = (name: string, ...values: ArrayBufferView[]) => void;

/** Writes IDs as a table: offsets u64, then UTF-8. @param rows of `ids`, in order @throws InputError for half a character */
function writeIds(
  write: Write,
  file: string,
  rows: Uint32Array,
  ids: readonly string[],
  what = file.split('.')[0],
): void {
  const offsets = new BigUint64Array(rows.length + 1);
  const pieces: Buffer[] = [];
  let at = 0;
  let text: string[] = [];
  const flush = (): void => {
    pieces.push(Buffer.from(text.join('')));
    text = [];
  };
  rows.forEach((row, i) => {
    const id = ids[row];
    if (/[\ud800-\udfff]/u.test(id)) {
      throw new InputError('invalid-data', `${what}: the ID ${JSON.stringify(id)} is not Unicode text`);
    }
    at += Buffer.byteLength(id);
    offsets[i + 1] = BigInt(at);
    text.push(id);
    if (text.length === 1 << 16) flush();
  });
  flush();
  write(file, offsets, ...pieces);
}
