import type { Log } from '../../data/log.ts';
import { type Dataset, prepare } from '../../data/dataset.ts';
import { type ReadOptions, readLog } from '../../data/formats/reader.ts';

/** A file's bytes in chunks of `size`, as a stream would bring them. */
export async function* chunked(text: string | Uint8Array, size = 7): AsyncGenerator<Uint8Array> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export function readText(text: string | Uint8Array, options?: ReadOptions, size?: number): Promise<Log> {
  return readLog(chunked(text, size), 'log.csv', options);
}

/** The log as rows of [user, item], for comparison. */
export function pairs(log: Log): [string, string][] {
  return Array.from(log.user, (user, row) => [log.userIds[user], log.itemIds[log.item[row]]]);
}

/** A log made of histories, item numbers as IDs, in time order. A history may be a line: `1 2 3`. */
export function logOf(lines: readonly (string | readonly (number | string)[])[]): Log {
  const histories = lines.map((history) => (typeof history === 'string' ? history.split(' ') : history));
  const userIds = histories.map((_, u) => `u${u}`);
  const itemIds = [...new Set(histories.flat().map(String))];
  const rows = histories.flatMap((history, u) => history.map((item) => [u, itemIds.indexOf(String(item))]));
  return {
    userIds,
    itemIds,
    user: Uint32Array.from(rows, ([user]) => user),
    item: Uint32Array.from(rows, ([, item]) => item),
    rating: null,
    time: null,
    size: rows.length,
    source: 'made',
    notes: [],
  };
}

/** All of such a log. */
export const datasetOf = (histories: Parameters<typeof logOf>[0]): Dataset =>
  prepare(logOf(histories), { minInteractions: 1 });
