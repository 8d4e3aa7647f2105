/** Samples of the users of a large log. */
import { expect, test } from 'vitest';
import type { Dataset } from '../../data/dataset.ts';
import { atOnce } from '../../data/pieces.ts';
import { sampleEvery, sampleUsers } from '../../data/splits/sample.ts';
import { splitDataset } from '../../data/splits/split.ts';

const users = 10;
const dataset = {
  userIds: Array.from({ length: users }, (_, u) => `u${u}`),
  itemIds: Array.from({ length: 50 }, (_, i) => `i${i}`),
  offsets: Uint32Array.from({ length: users + 1 }, (_, u) => 5 * u),
  items: Uint32Array.from({ length: 5 * users }, (_, i) => i),
  ratings: null,
  times: null,
  clock: null,
  report: {} as Dataset['report'],
} satisfies Dataset;

test('a sample has the training events of every n-th user, all of which train', () => {
  const split = splitDataset(dataset);
  // Each user has three training events, of 30 in all.
  expect(sampleEvery(split, 30)).toBe(1);
  expect(atOnce(sampleUsers(split, 30))).toBe(split);
  expect(sampleEvery(split, 12)).toBe(3);
  const sample = atOnce(sampleUsers(split, 12));
  expect(sample.dataset.userIds).toEqual(['u0', 'u3', 'u6', 'u9']);
  expect(sample.items).toBe(50);
  expect(Array.from(sample.history(1, 'train'))).toEqual([15, 16, 17]);
  expect(Array.from(sample.history(3, 'train'))).toEqual([45, 46, 47]);
  expect(sample.trainLength(3)).toBe(3);
});
