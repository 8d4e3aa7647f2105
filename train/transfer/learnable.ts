/** Which items a learned map is learned from, and which get a row by it. */
import { InputError } from '../../data/errors.ts';
import type { CatalogItem } from '../../data/formats/catalog.ts';
import type { MappedRows } from './row-map.ts';

/** Known items that are learned from at most; an inverse takes 2n³ operations. */
const MOST = 2048;
/** Fewest of them. */
const FEWEST = 20;

/**
 * Row numbers of the other model's items and of the new ones of which something is known: of many of the other model's, those
 * with most events.
 * @throws InputError where there are too few
 */
export function learnableRows(
  from: readonly (CatalogItem & { count?: number })[],
  to: readonly CatalogItem[],
  isKnown: (item: CatalogItem) => boolean,
  what: 'attributes' | 'vectors',
): { known: number[]; fresh: number[] } {
  const numbers = (items: readonly CatalogItem[]): number[] => items.flatMap((item, v) => (isKnown(item) ? [v] : []));
  const all = numbers(from);
  const known = all.sort((a, b) => (from[b].count ?? 0) - (from[a].count ?? 0) || a - b).slice(0, MOST);
  const fresh = numbers(to);
  const fail = (reason: string, hint: string): never => {
    throw new InputError('too-little-data', reason, { setting: 'map', value: what, hint });
  };
  if (known.length < FEWEST)
    fail(
      `${known.length} items of the model have ${what}, and a map is learned from ${FEWEST} at least`,
      what === 'attributes' ? 'train it with items that have some' : 'give their vectors',
    );
  if (fresh.length === 0) fail(`no item of the log has ${what}`, 'give items that have some');
  return { known, fresh };
}

/** Rows `numbers` of a table [.., D]. */
export function rowsAt(table: Float32Array, d: number, numbers: readonly number[]): Float32Array {
  const out = new Float32Array(numbers.length * d);
  numbers.forEach((v, i) => {
    out.set(table.subarray(v * d, (v + 1) * d), i * d);
  });
  return out;
}

/** Rows [n, D] of the items `numbers` among all of a catalog. */
export function scattered(made: Float32Array, d: number, numbers: readonly number[], items: number): MappedRows {
  const rows = new Float32Array(items * d);
  const mapped = new Uint8Array(items);
  numbers.forEach((v, i) => {
    rows.set(made.subarray(i * d, (i + 1) * d), v * d);
    mapped[v] = 1;
  });
  return { rows, mapped };
}
