/** Rows of shared items, copied: the same ID, or the same text in a column of both catalogs. */
import { InputError } from '../../data/errors.ts';
import type { CatalogItem } from '../../data/formats/catalog.ts';
import { ownValue } from '../../data/own-value.ts';
import type { RowMap } from './row-map.ts';

export const byIds: RowMap = {
  help: 'items with the same ID (ids:COLUMN: with the same text in a column, such as title) get the row that the model has',
  takesColumn: true,
  plan(from, to, column) {
    const rowOf = new Map<string, number>();
    const twice = new Set<string>();
    from.forEach((item, row) => {
      const key = keyOf(item, column);
      if (key === '') return;
      if (rowOf.has(key)) twice.add(key);
      rowOf.set(key, row);
    });
    // Which of them is meant is unknown.
    for (const key of twice) rowOf.delete(key);
    const found = to.map((item) => rowOf.get(keyOf(item, column)) ?? -1);
    if (found.every((row) => row < 0)) throw nothingShared(from, to, column);
    return async (_, { rows }, d) => {
      const out = new Float32Array(to.length * d);
      const mapped = new Uint8Array(to.length);
      found.forEach((row, v) => {
        if (row < 0) return;
        out.set(rows.subarray(row * d, (row + 1) * d), v * d);
        mapped[v] = 1;
      });
      return { rows: out, mapped };
    };
  },
};

/** What tells items of both catalogs to be the same; empty for an item without. Texts are compared by their letters and digits. */
function keyOf({ id, title, attributes }: CatalogItem, column: string | null): string {
  if (column === null) return id;
  const text = ownValue(attributes, column) ?? (column === 'title' && title !== id ? title : '');
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}+/gu, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

function nothingShared(from: readonly CatalogItem[], to: readonly CatalogItem[], column: string | null): InputError {
  const example = (items: readonly CatalogItem[]): string => {
    const item = items.find((one) => keyOf(one, column) !== '');
    return item ? JSON.stringify(keyOf(item, column)) : 'nothing';
  };
  const what = column === null ? 'ID' : column;
  return new InputError(
    'mismatched-data',
    `no item has the ${what} of one of the model's: ${example(to)} here, ${example(from)} there`,
    {
      setting: 'map',
      value: column === null ? 'ids' : `ids:${column}`,
      hint: column === null ? 'map by a column (ids:title), or by attributes' : 'map by attributes',
    },
  );
}
