import { expect, test } from 'vitest';
import { alignItems } from '../../data/splits/align.ts';
import type { Dataset } from '../../data/dataset.ts';
import { splitDataset } from '../../data/splits/split.ts';

const dataset: Dataset = {
  userIds: ['u', 'v', 'w'],
  itemIds: ['a', '__proto__', 'new', 'b'],
  offsets: Uint32Array.of(0, 4, 6, 7),
  items: Uint32Array.of(0, 1, 2, 3, 2, 2, 1),
  ratings: Float64Array.of(1, 2, 3, 4, 5, 6, 7),
  times: Uint32Array.of(10, 20, 30, 40, 50, 60, 70),
  clock: Float64Array.of(10, 20, 30, 40, 50, 60, 70),
  report: { lines: [] } as unknown as Dataset['report'],
};

test("uses the model's rows and leaves unknown items out", () => {
  const ids = ['b', 'c', 'a', '__proto__'];
  const { dataset: aligned, unknownItems: unknown, unknownEvents } = alignItems(dataset, ids);
  expect({ unknown, unknownEvents }).toEqual({ unknown: ['new'], unknownEvents: 3 });
  expect(aligned.itemIds).toEqual(ids);
  expect([...aligned.offsets]).toEqual([0, 3, 3, 4]);
  expect([...aligned.items]).toEqual([2, 3, 0, 3]);
  expect([...(aligned.ratings ?? [])]).toEqual([1, 2, 4, 7]);
  expect([...(aligned.times ?? [])]).toEqual([10, 20, 40, 70]);
  const split = splitDataset(aligned);
  expect([split.testTarget(0), split.testTarget(1), split.testTarget(2)]).toEqual([0, -1, -1]);
  expect(split.items).toBe(4);
});

test('nothing in common leaves no events', () => {
  const { dataset: aligned, unknownItems: unknown } = alignItems(dataset, ['x', 'y']);
  expect(aligned.items).toHaveLength(0);
  expect(unknown).toHaveLength(4);
  expect([...aligned.offsets]).toEqual([0, 0, 0, 0]);
});
