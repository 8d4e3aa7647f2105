/** Opens a prepared dataset: IDs and histories in memory, columns of events in their files. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { PreparedLog } from '../../data/dataset.ts';
import { InputError } from '../../data/errors.ts';
import { explain } from '../../recommend/sources/files.node.ts';
import { FileColumn, f64, readColumn, sumOf, u32 } from './columns.node.ts';
import { damagedDataset, type Manifest, DATASET_FILE, parseManifest, partFile } from './manifest.ts';

/** Whether a path is a folder that a dataset was written to. */
export const isDataset = (dir: string): boolean => existsSync(path.join(dir, DATASET_FILE));

/** @throws InputError for what is no dataset */
export function readManifest(dir: string): Manifest {
  const file = path.join(dir, DATASET_FILE);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw explain(error, file, 'read');
  }
  return parseManifest(text, file);
}

export interface OpenOptions {
  /** context columns to have */
  context?: readonly string[];
  /** Awaited as files are checked, with the share that is done, 0 to 1; it may throw to stop. */
  pause?(done: number): Promise<void>;
}

/** Opens a dataset, each file of it checked against its sum. @throws InputError where it is damaged, or lacks a column */
export async function openDatasetFolder(dir: string, options: OpenOptions = {}): Promise<PreparedLog> {
  const { context = [], pause = async () => {} } = options;
  const manifest = readManifest(dir);
  await checkFiles(dir, manifest, pause);
  const { users, items, interactions, timeUnit, filter, report } = manifest;
  const files = (name: string) =>
    manifest.parts.map((part, p) => ({ path: path.join(dir, partFile(p, name)), length: part.interactions }));
  const integers = (name: string) => new FileColumn(files(name), u32);
  const numbers = (name: string) => new FileColumn(files(name), f64);
  const has = (name: string): boolean => manifest.events.includes(name);
  const events = integers('items.u32');
  if (events.length !== interactions) throw damagedDataset(dir, `expected ${interactions} events`);
  const dataset = {
    userIds: readIds(path.join(dir, 'users.ids'), users),
    itemIds: readIds(path.join(dir, 'items.ids'), items),
    offsets: readColumn({ path: path.join(dir, 'histories.u32'), length: users + 1 }, u32),
    items: events,
    ratings: has('ratings.f64') ? numbers('ratings.f64') : null,
    times: has('times.u32') ? integers('times.u32') : null,
    clock: has('clock.f64') ? numbers('clock.f64') : null,
    ...(timeUnit && { timeUnit }),
    ...(context.length > 0 && {
      context: context.map((name) => {
        const at = manifest.context.indexOf(name);
        if (at < 0) throw lacking(dir, manifest, name);
        const values = readIds(path.join(dir, `context-${at}.values`));
        return { name, values, rows: integers(`context-${at}.u32`) };
      }),
    }),
    report,
  };
  return { dataset, filter, columns: manifest.columns, source: dir };
}

function lacking(dir: string, { context }: Manifest, name: string): InputError {
  const there = context.length > 0 ? `its columns are ${context.join(', ')}` : 'it has no columns of events';
  return new InputError('missing-column', `${dir}: was prepared without the column ${name}; ${there}`, {
    setting: 'reads',
    hint: 'prepare the log again with it',
  });
}

async function checkFiles(dir: string, { files }: Manifest, pause: (done: number) => Promise<void>): Promise<void> {
  const total = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const [name, { bytes, crc32 }] of Object.entries(files)) {
    const file = path.join(dir, name);
    const size = statSync(file, { throwIfNoEntry: false })?.size;
    if (size !== bytes) {
      throw damagedDataset(file, size === undefined ? 'is missing' : `expected ${bytes} bytes, got ${size}`);
    }
    const sum = await sumOf(file, async (read) => {
      done += read;
      await pause(done / Math.max(1, total));
    });
    if (sum.crc32 !== crc32) throw damagedDataset(file, 'its checksum is another');
  }
}

/** A table of IDs. @param expected how many there are @throws InputError */
function readIds(file: string, expected?: number): string[] {
  const bytes = readFileSync(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The first ID starts at 0, so that the size of the offsets follows from them: they end where the text starts.
  const offsetAt = (i: number): number => Number(view.getBigUint64(8 * i, true));
  let count = expected ?? 0;
  if (expected === undefined) while (8 * (count + 1) + offsetAt(count) < bytes.length) count++;
  const text = 8 * (count + 1);
  if (text > bytes.length || text + offsetAt(count) !== bytes.length)
    throw damagedDataset(file, `expected ${count} IDs`);
  return Array.from({ length: count }, (_, i) => bytes.toString('utf8', text + offsetAt(i), text + offsetAt(i + 1)));
}
