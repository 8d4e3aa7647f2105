/** Logs and catalogs from files: what is read, filtered and said about it. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { type ItemInfo, readItems } from '../../data/formats/catalog.ts';
import { type Dataset, datasetOf, type PreparedLog } from '../../data/dataset.ts';
import { InputError, option } from '../../data/errors.ts';
import { type Log, withoutSource } from '../../data/log.ts';
import { type LogFile, type LogRows, readLogFiles } from '../../data/formats/reader.ts';
import { decodeText } from '../../data/formats/text.ts';
import { isDataset, openDatasetFolder, readManifest } from '../../interop/dataset/open.node.ts';
import { rowSource } from '../../interop/sources/source.ts';
import { TimeBudget } from '../../train/loop/time-budget.ts';
import { examples } from '../../train/side-features.ts';
import type { Output } from '../common.ts';
import { missingPackage } from '../packages.ts';
import { openParquetWorker } from './parquet-worker.ts';
import { expandPaths } from './paths.ts';
import { createProgress, formatCount, printable } from '../output/ui.ts';

/** Names of the log's columns, where the usual ones do not fit. */
export interface Columns {
  user?: string;
  item?: string;
  time?: string;
  rating?: string;
  /** all columns of a file without a header, as `user,item,rating` */
  all?: string;
}

/** How a log is read; config.json keeps it, so that the other commands read it the same way. */
export interface Reading {
  columns: Columns;
  /** Other columns to read. */
  context?: readonly string[];
  /** One of them, which the files of a log of several have by their name where it is no column of theirs. */
  namedByFile?: string;
  maxBadRows: number;
}

export interface ColumnFlags {
  userColumn?: string;
  itemColumn?: string;
  timeColumn?: string;
  ratingColumn?: string;
  columns?: string;
}

/** Column flags that were given, over those that a model's config remembers. */
export function columnsOf(flags: ColumnFlags, remembered: Columns = {}): Columns {
  return {
    ...remembered,
    ...(flags.userColumn !== undefined && { user: flags.userColumn }),
    ...(flags.itemColumn !== undefined && { item: flags.itemColumn }),
    ...(flags.timeColumn !== undefined && { time: flags.timeColumn }),
    ...(flags.ratingColumn !== undefined && { rating: flags.ratingColumn }),
    ...(flags.columns !== undefined && { all: flags.columns }),
  };
}

/** Reads a log, with a bar for a large one. @param file one path or several (cli/input/paths.ts) @throws InputError */
export async function openLog(file: string, reading: Reading, progress = false): Promise<Log> {
  if (isDataset(file)) throw noRows(file);
  const parts = expandPaths(file);
  let bytes = 0;
  for (const part of parts) if (!rowSource(part)) bytes += await fileSize(part);
  const bar = createProgress({ total: Math.max(1, bytes), force: progress });
  try {
    return await readLogFiles(openParts(parts), nameOfLog(parts, file), {
      ...reading,
      ...(parts.length === 1 && { namedByFile: undefined }),
      openParquetWorker,
      onProgress: (done, rows) => bar.update(done, { phase: readingPhase(rows) }),
    });
  } catch (error) {
    return missingPackage(error as Error);
  } finally {
    bar.stop();
  }
}

/** Opens the files of a log, and its other sources of rows. */
export function* openParts(parts: readonly string[]): Generator<LogFile | LogRows> {
  for (const part of parts)
    yield rowSource(part) ?? { name: part, chunks: createReadStream(part, { highWaterMark: 1 << 18 }) };
}

/** A log in messages. */
export const nameOfLog = (parts: readonly string[], all: string): string =>
  parts.length === 1 ? (rowSource(parts[0])?.name ?? parts[0]) : all;

export const readingPhase = (rows: number): string => (rows > 0 ? `reading, ${formatCount(rows)} rows` : 'reading');

/** A dataset was named where rows are asked for. */
export const noRows = (dataset: string): InputError =>
  new InputError('unsupported', `${dataset}: is a prepared dataset, and this reads the log itself`, {
    hint: 'name the file that it was made of',
  });

/** A log from files, or one that was prepared. @throws InputError */
export async function openAnyLog(file: string, reading: Reading, progress = false): Promise<Log | PreparedLog> {
  if (!isDataset(file)) return openLog(file, reading, progress);
  return openPrepared(file, reading, progress);
}

/** Opens a dataset. @param reading what is asked of it: other columns than it was prepared with are refused */
async function openPrepared(dir: string, reading: Reading, progress = false): Promise<PreparedLog> {
  const { columns } = readManifest(dir);
  for (const [name, asked] of Object.entries(reading.columns)) {
    if (asked === columns[name]) continue;
    throw new InputError(
      'conflicting-settings',
      `${dir}: prepared with ${option(`columns.${name}`, columns[name] ?? 'the usual name')}, not ${asked}`,
      { hint: 'prepare the log again for other columns' },
    );
  }
  const bar = createProgress({ total: 1000, force: progress });
  const budget = new TimeBudget();
  try {
    return await openDatasetFolder(dir, {
      context: reading.context,
      pause: (done) => budget.pause(() => bar.update(1000 * done, { phase: 'checking' })),
    });
  } finally {
    bar.stop();
  }
}

/** Reads and filters a log, and says what was found and removed. @throws InputError */
export async function openDataset(
  file: string,
  reading: Reading,
  filter: { minInteractions: number; minRating?: number },
  out: Output,
  progress = false,
): Promise<Dataset> {
  const log = await openAnyLog(file, reading, progress);
  const dataset = datasetOf(log, filter);
  for (const line of dataset.report.lines) {
    out.note(`${printable(log.source)}: ${printable(withoutSource(line, log.source))}`);
  }
  return dataset;
}

/** Reads titles and attributes. @throws InputError */
export async function openItems(file: string): Promise<Map<string, ItemInfo>> {
  await fileSize(file);
  return readItems(createReadStream(file), file, { openParquetWorker });
}

/** A small text file, without a byte order mark. @throws InputError */
export async function readText(file: string): Promise<string> {
  await fileSize(file);
  return decodeText(await readFile(file), file);
}

/** IDs, one a line. @throws InputError */
export async function readIds(file: string): Promise<Set<string>> {
  const ids = (await readText(file)).split(/\r\n|\n|\r/).filter((id) => id !== '');
  if (ids.length === 0) throw new InputError('too-little-data', `${file}: holds no item ID; expected one on each line`);
  return new Set(ids);
}

/**
 * What one user of a log did and, where the log says so, when and how (NaN: unknown); oldest first, unfiltered but for the minimum rating.
 * @throws InputError when the log has no such user
 */
export function historyOf(
  log: Log,
  userId: string,
  minRating: number | null,
): { history: string[]; times?: number[]; ratings?: number[]; context?: Record<string, string[]> } {
  const user = log.userIds.indexOf(userId);
  if (user < 0) {
    throw new InputError(
      'unknown-id',
      `${log.source}: no user ${JSON.stringify(userId)}; its users are ${examples(log.userIds)}`,
    );
  }
  const { rating, time } = log;
  const at = (row: number) => (time && !Number.isNaN(time[row]) ? time[row] : Number.NEGATIVE_INFINITY);
  const rows: number[] = [];
  for (let row = 0; row < log.size; row++) {
    if (log.user[row] !== user) continue;
    if (minRating !== null && rating && !(rating[row] >= minRating)) continue;
    rows.push(row);
  }
  rows.sort((a, b) => (at(a) < at(b) ? -1 : at(a) > at(b) ? 1 : a - b));
  return {
    history: rows.map((row) => log.itemIds[log.item[row]]),
    times: time ? rows.map((row) => time[row]) : undefined,
    ratings: rating ? rows.map((row) => rating[row]) : undefined,
    context: Object.fromEntries(
      (log.context ?? []).map((column) => [column.name, rows.map((row) => column.values[column.rows[row]])]),
    ),
  };
}

export async function fileSize(file: string): Promise<number> {
  const found = await stat(file);
  if (found.isDirectory()) throw new InputError('not-found', `${file}: is a folder, expected a file`);
  return found.size;
}
