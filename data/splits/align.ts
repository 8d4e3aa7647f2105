import { selectContext, type Dataset } from '../dataset.ts';

export interface Aligned {
  /** The same users, with the rows and the catalogue of the model; events of unknown items are left out. */
  dataset: Dataset;
  /** IDs of the dataset that are not among `ids`, by first appearance. */
  unknownItems: string[];
  /** How many events they had. */
  unknownEvents: number;
}

/**
 * Gives a dataset a model's item rows: afterwards `itemIds` are `ids` (row → ID), so that the catalogue is the model's
 * own whatever the log holds. A user may be left with few events or none; the split then only trains on them.
 */
export function alignItems(dataset: Dataset, ids: readonly string[]): Aligned {
  const rows = new Map(ids.map((id, row) => [id, row]));
  const rowOf = Int32Array.from(dataset.itemIds, (id) => rows.get(id) ?? -1);
  const unknown = dataset.itemIds.filter((_, row) => rowOf[row] < 0);
  const { offsets, items, ratings, times, clock, context } = dataset;
  const kept = new Uint32Array(items.length);
  const nextOffsets = new Uint32Array(offsets.length);
  let size = 0;
  for (let u = 0; u + 1 < offsets.length; u++) {
    for (let at = offsets[u]; at < offsets[u + 1]; at++) if (rowOf[items[at]] >= 0) kept[size++] = at;
    nextOffsets[u + 1] = size;
  }
  const places = kept.subarray(0, size);
  return {
    dataset: {
      userIds: dataset.userIds,
      itemIds: [...ids],
      offsets: nextOffsets,
      items: places.map((at) => rowOf[items[at]]),
      ratings: ratings && Float64Array.from(places, (at) => ratings[at]),
      times: times && places.map((at) => times[at]),
      clock: clock && Float64Array.from(places, (at) => clock[at]),
      ...(dataset.timeUnit && { timeUnit: dataset.timeUnit }),
      ...(context && { context: selectContext(context, places) }),
      report: dataset.report,
    },
    unknownItems: unknown,
    unknownEvents: items.length - size,
  };
}
