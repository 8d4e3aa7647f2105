import { inMemory } from '../column.ts';
import { type Dataset, selectEvents } from '../dataset.ts';
import { spanAt } from '../spans.ts';

export interface Aligned {
  /** The same users, with the item rows and the catalog of the model; events of unknown items are left out. */
  dataset: Dataset;
  /** IDs of the dataset that are not among `ids`, by first appearance. */
  unknownItems: string[];
  /** How many events they had. */
  unknownEvents: number;
}

/**
 * Gives a dataset a model's item rows: afterwards `itemIds` are `ids` (row → ID), so that the catalog is the model's
 * own whatever the log holds; as it is where that holds already. A user may be left with few events or none; the split then only trains on them.
 */
export function alignItems(dataset: Dataset, ids: readonly string[]): Aligned {
  const { itemIds } = dataset;
  if (itemIds.length === ids.length && itemIds.every((id, row) => id === ids[row])) {
    return { dataset, unknownItems: [], unknownEvents: 0 };
  }
  const rows = new Map(ids.map((id, row) => [id, row]));
  const rowOf = Int32Array.from(dataset.itemIds, (id) => rows.get(id) ?? -1);
  const unknownItems = dataset.itemIds.filter((_, row) => (rowOf[row] as number) < 0);
  const items = inMemory(dataset.items);
  const newRow = (at: number): number => rowOf[items[at] as number] as number;
  const kept = new Uint32Array(items.length);
  const offsets = new Uint32Array(dataset.offsets.length);
  let size = 0;
  for (let u = 0; u + 1 < offsets.length; u++) {
    const [from, to] = spanAt(dataset.offsets, u);
    for (let at = from; at < to; at++) if (newRow(at) >= 0) kept[size++] = at;
    offsets[u + 1] = size;
  }
  const positions = kept.subarray(0, size);
  const events = selectEvents(dataset, positions);
  return {
    dataset: { ...dataset, ...events, itemIds: [...ids], offsets, items: positions.map(newRow) },
    unknownItems,
    unknownEvents: items.length - size,
  };
}
