/** The log in the worker: preview of a file, reading, filtering, and a summary. */
import { findColumn } from '../../data/formats/columns.ts';
import { type ItemInfo, readItems, readUsers } from '../../data/formats/catalog.ts';
import { InputError } from '../../data/errors.ts';
import { type Dataset, prepare } from '../../data/dataset.ts';
import type { Format } from '../../data/formats/format.ts';
import { type Log, withoutSource } from '../../data/log.ts';
import type { ParquetWorker as Apart } from '../../data/formats/parquet-worker.ts';
import { readLog } from '../../data/formats/reader.ts';
import type { RecordSink } from '../../data/formats/records.ts';
import { contextNames } from '../../data/features/event-encoder.ts';
import { makeShop } from '../../data/demo-shop/shop.ts';
import { readRecords } from '../../data/formats/source.ts';
import { dateOf, unitOf } from '../../data/formats/times.ts';
import type { Analysis, Bin, Filter, Preview, LogReading, Role, LogSource } from './contract.ts';

/** Starts a worker that decodes Parquet. */
function openParquetWorker(): Apart {
  const worker = new Worker(new URL('./parquet.ts', import.meta.url), { type: 'module', name: 'parquet' });
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen: (answered, failed) => {
      worker.onmessage = ({ data }) => answered(data);
      worker.onerror = ({ message }) => failed(new Error(message || 'the decoder ended'));
    },
    stop: () => worker.terminate(),
  };
}

/** Rows that a preview shows. */
const PREVIEW_ROWS = 12;
const ROLES: readonly Role[] = ['user', 'item', 'time', 'rating'];
const FORMATS: Record<Exclude<Format['kind'], 'table'>, string> = {
  sequences: 'lines of a user and its items, in time order',
  json: 'lines of JSON',
  parquet: 'a Parquet file',
};

/** @throws InputError if the file is not a log */
export async function previewFile(file: File): Promise<Preview> {
  let format: Format | null = null;
  const rows: string[][] = [];
  const enough = new Error('the preview has its rows');
  const sink: RecordSink = {
    begin: (found) => {
      format = found;
      return [];
    },
    row: (fields) => {
      rows.push([...fields]);
      if (rows.length === PREVIEW_ROWS) throw enough;
    },
    bad: () => {},
    note: () => {},
    end: () => {},
  };
  await readRecords(chunksOf(file), file.name, sink, { openParquetWorker }).catch((error) => {
    if (error !== enough) throw error;
  });
  const { kind, header, named, delimiter } = format as unknown as Format;
  return {
    name: file.name,
    bytes: file.size,
    format:
      kind === 'table'
        ? `a table ${named ? 'with' : 'without'} a header, divided by ${DELIMITERS[delimiter] ?? delimiter}`
        : FORMATS[kind],
    header,
    named,
    rows,
    roles: Object.fromEntries(ROLES.map((role) => [role, findColumn(header, role)])) as Record<Role, number>,
  };
}

const DELIMITERS: Record<string, string> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs', ' ': 'blanks' };

/** A log with its items and users, as read. */
export interface Opened {
  source: LogSource;
  reading: LogReading;
  log: Log;
  infos: ReadonlyMap<string, ItemInfo> | null;
  /** Columns by user ID. */
  users: ReadonlyMap<string, Readonly<Record<string, string>>> | null;
}

/** Reads a log piece by piece. @throws InputError */
export async function openSource(
  source: LogSource,
  reading: LogReading,
  onProgress: (share: number) => void,
): Promise<Opened> {
  if (source.kind === 'shop') {
    const shop = makeShop({ shoppers: source.shoppers });
    return { source, reading, log: shop.log, infos: shop.items, users: null };
  }
  const { file, items, users } = source;
  const total = Math.max(1, file.size);
  const { columns, maxBadRows, events } = reading;
  const log = await readLog(chunksOf(file), file.name, {
    columns,
    maxBadRows,
    context: contextNames(events),
    openParquetWorker,
    onProgress: (bytes) => onProgress(bytes / total),
  });
  const infos = items && (await readItems(chunksOf(items), items.name, { openParquetWorker }));
  const known = users && (await readUsers(chunksOf(users), users.name, { openParquetWorker }));
  if (known && !log.userIds.some((id) => known.has(id))) {
    throw new InputError(
      'mismatched-data',
      `${users.name}: none of its users is in the log; its IDs look like ${JSON.stringify(known.keys().next().value)}, those of the log like ${JSON.stringify(log.userIds[0])}`,
    );
  }
  return { source, reading, log, infos, users: known };
}

async function* chunksOf(file: Blob): AsyncGenerator<Uint8Array> {
  const reader = file.stream().getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}

export const filterOf = ({ minInteractions, minRating }: Filter) => ({
  minInteractions,
  minRating: minRating ?? undefined,
});

/** Filters the log and summarizes what is left and what was removed. @throws InputError if nothing is left */
export function analyse(opened: Opened, filter: Filter, started: number): { dataset: Dataset; analysis: Analysis } {
  const { log, infos, users } = opened;
  const dataset = prepare(log, filterOf(filter));
  const { report, offsets } = dataset;
  const lengths = Uint32Array.from({ length: report.users }, (_, u) => offsets[u + 1] - offsets[u]).sort();
  const analysis: Analysis = {
    source: log.source,
    rows: report.rows,
    users: report.users,
    items: report.items,
    interactions: report.interactions,
    removed: {
      byRating: report.removedByRating,
      interactions: report.removedInteractions,
      users: report.removedUsers,
      items: report.removedItems,
    },
    ratings: rangeOf(log.rating),
    span: spanOf(log),
    lengths: binsOf(lengths),
    medianLength: lengths[lengths.length >> 1],
    popular: popularOf(dataset, infos),
    described: users ? dataset.userIds.filter((id) => users.has(id)).length : 0,
    titled: infos ? dataset.itemIds.filter((id) => infos.has(id)).length : 0,
    lines: report.notes.map((line) => withoutSource(line, log.source)),
    seconds: (performance.now() - started) / 1000,
  };
  return { dataset, analysis };
}

function rangeOf(values: Float32Array | Float64Array | null): { least: number; most: number } | null {
  if (!values) return null;
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return least <= most ? { least, most } : null;
}

/** Times as dates if they are dates, else unchanged. */
function spanOf({ time: times, timeUnit }: Log): { from: string; to: string } | null {
  const range = rangeOf(times);
  if (!range) return null;
  const unit = timeUnit ?? unitOf(range.most);
  const text = (time: number) => {
    const ms = dateOf(time, unit);
    return ms === null ? String(time) : new Date(ms).toISOString().slice(0, 10);
  };
  return { from: text(range.least), to: text(range.most) };
}

const EDGES = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 1000];

function binsOf(lengths: Uint32Array): Bin[] {
  const counts = new Map<number, number>();
  for (const length of lengths) {
    let at = EDGES.length - 1;
    while (at > 0 && length < EDGES[at]) at--;
    counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  const buckets = [...counts.keys()].sort((a, b) => a - b);
  const [least, most] = [buckets[0] ?? 0, buckets.at(-1) ?? -1];
  return EDGES.slice(least, most + 1).map((edge, i) => {
    const next = EDGES[least + i + 1];
    const label = next === undefined ? `${edge} +` : next - edge === 1 ? String(edge) : `${edge}–${next - 1}`;
    return { label, users: counts.get(least + i) ?? 0 };
  });
}

function popularOf(dataset: Dataset, infos: Opened['infos']): Analysis['popular'] {
  const counts = new Uint32Array(dataset.itemIds.length);
  for (const row of dataset.items) counts[row]++;
  const rows = Uint32Array.from(counts, (_, row) => row).sort((a, b) => counts[b] - counts[a]);
  return Array.from(rows.subarray(0, 8), (row) => {
    const id = dataset.itemIds[row];
    return { title: infos?.get(id)?.title || id, count: counts[row] };
  });
}
