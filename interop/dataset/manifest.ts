/**
 * A prepared dataset: a folder with a log's histories, filtered, numbered and sorted, for logs that are larger than memory.
 * docs/data-formats.md describes it for other programs. All numbers are little-endian, parts hold consecutive users.
 *
 *   dataset.json        written last: what the others are, their sizes and CRC-32
 *   users.ids items.ids  the IDs: [n + 1] offsets u64, then UTF-8, end to end; `NAME.values` likewise for context columns
 *   histories.u32        [users + 1] where each user's events start among all events
 *   part-0000.items.u32  [events of the part] item rows, users in order and each user's events oldest first
 *   part-0000.times.u32, .clock.f64, .ratings.f64, .context-0.u32   likewise, where the log has them (data/dataset.ts)
 */
import type { PrepareOptions, PrepareReport } from '../../data/dataset.ts';
import { InputError } from '../../data/errors.ts';
import type { TimeUnit } from '../../data/formats/times.ts';
import {
  checkInteger,
  checkNumber,
  checkRecord,
  checkText,
  listOf,
  object,
  oneOf,
} from '../../model/storage/json-check.ts';

export const DATASET_FILE = 'dataset.json';
const FORMAT = 'attune-dataset';
const VERSION = 1;

/** Size in bytes and CRC-32 of a file. */
export interface FileEntry {
  bytes: number;
  crc32: number;
}

/** Consecutive users, in files of their own. */
interface Part {
  users: number;
  interactions: number;
}

export interface Manifest {
  format: typeof FORMAT;
  version: typeof VERSION;
  users: number;
  items: number;
  interactions: number;
  filter: PrepareOptions;
  /** columns of the log, where they have no usual names */
  columns: Record<string, string>;
  /** columns of events, `part-0000.NAME` */
  events: string[];
  timeUnit?: TimeUnit;
  /** names of the context columns, in the order of their files */
  context: string[];
  parts: Part[];
  files: Record<string, FileEntry>;
  report: PrepareReport;
  /** what it was made of: names, sizes in bytes and times of change in ms; empty for a query */
  sources: { name: string; bytes: number; changed: number }[];
}

const count = checkInteger(0, Number.MAX_SAFE_INTEGER);
const check = object<Manifest>({
  format: oneOf([FORMAT]),
  version: checkInteger(VERSION, VERSION),
  users: count,
  items: count,
  interactions: count,
  filter: object<PrepareOptions>({
    minInteractions: count,
    minRating: { optional: checkNumber(-Number.MAX_VALUE) },
  }),
  columns: checkRecord(checkText),
  events: listOf(checkText),
  timeUnit: { optional: oneOf(['s', 'ms', 'us', 'ns', 'order']) },
  context: listOf(checkText),
  parts: listOf(object<Part>({ users: count, interactions: count })),
  files: checkRecord(object<FileEntry>({ bytes: count, crc32: count })),
  report: object<PrepareReport>({
    rows: count,
    removedByRating: count,
    removedInteractions: count,
    removedUsers: count,
    removedItems: count,
    users: count,
    items: count,
    interactions: count,
    notes: listOf(checkText),
    lines: listOf(checkText),
  }),
  sources: listOf(object<Manifest['sources'][number]>({ name: checkText, bytes: count, changed: checkNumber(0) })),
});

export const newManifest = (fields: Omit<Manifest, 'format' | 'version'>): Manifest => ({
  format: FORMAT,
  version: VERSION,
  ...fields,
});

/** @throws InputError for what is no manifest of this version */
export function parseManifest(text: string, where: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw damagedDataset(where, 'is not JSON');
  }
  const { version } = (parsed ?? {}) as { version?: unknown };
  if (typeof version === 'number' && version > VERSION) {
    throw new InputError('unsupported', `${where}: of version ${version}; this version of Attune reads ${VERSION}`, {
      hint: 'update Attune, or prepare the log again',
    });
  }
  const problem = check(parsed, '');
  if (problem !== null) throw damagedDataset(where, problem);
  return parsed as Manifest;
}

export const damagedDataset = (where: string, problem: string): InputError =>
  new InputError('invalid-data', `${where}: ${problem}; the dataset is damaged`, { hint: 'prepare the log again' });

export const partFile = (part: number, column: string): string => `part-${`${part}`.padStart(4, '0')}.${column}`;
