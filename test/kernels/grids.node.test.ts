/** Grids above 65,535 workgroups, which fold into two dimensions, and one row of a million scores. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Device, maskSeen, type NumericArray, softmax, topk } from '../../engine/index.ts';
import { foldGrid } from '../../engine/kernel.ts';
import { firstMismatch, random } from './harness.ts';

const ROWS = 65_601; // 65,536 and some: one group more than rows, too
let gpu: Device;
let cpu: Device;
beforeAll(async () => {
  gpu = await Device.open({ backend: 'webgpu' });
  cpu = await Device.open({ backend: 'cpu' });
});
afterAll(() => gpu?.close());

it('folds what does not fit one dimension, with at most one surplus group a line', () => {
  expect(foldGrid(65_535)).toEqual([65_535, 1, 1]);
  expect(foldGrid(65_536)).toEqual([32_768, 2, 1]);
  expect(foldGrid(ROWS)).toEqual([32_801, 2, 1]);
});

/** softmax of rows of 4, on a device. */
async function rowsOfFour(device: Device, rows: number): Promise<NumericArray> {
  const x = device.tensor(
    Float32Array.from({ length: 4 * rows }, (_, i) => (i * 7919) % 13),
    [rows, 4],
  );
  const y = device.scope(() => softmax(x).keep());
  const values = await y.data();
  for (const t of [x, y]) t.dispose();
  return values;
}

it('runs a workgroup a row, or for eight, over a folded grid', async () => {
  const expected = await rowsOfFour(cpu, 8 * ROWS);
  const grids: number[] = [];
  try {
    for (const [file, rows] of [
      [undefined, 8 * ROWS],
      ['softmax_fwd', ROWS],
    ] as const) {
      if (file) gpu.gpu?.forced.set('softmax_fwd', file);
      const actual = await rowsOfFour(gpu, rows);
      grids.push(actual.length);
      expect(
        firstMismatch(file ?? 'first choice', actual, expected.slice(0, 4 * rows), { abs: 1e-6, rel: 1e-5 }),
      ).toBeNull();
    }
  } finally {
    gpu.gpu?.forced.clear();
  }
  expect(grids).toEqual([32 * ROWS, 4 * ROWS]);
});

it('reaches every row once with lists in place', async () => {
  const scores = gpu.tensor(new Float32Array(2 * ROWS).fill(1), [ROWS, 2]);
  const offsets = gpu.tensor(Uint32Array.from({ length: ROWS + 1 }, (_, i) => i));
  const items = gpu.tensor(Uint32Array.from({ length: ROWS }, (_, i) => i % 2));
  maskSeen(scores, { offsets, items });
  const values = await scores.data();
  const masked = Math.fround(-3e38);
  const wrong = values.findIndex((v, i) => v !== (Math.floor(i / 2) % 2 === i % 2 ? masked : 1));
  expect(wrong).toBe(-1);
  for (const t of [scores, offsets, items]) t.dispose();
});

it('finds the best of 1,000,003 scores of one user, ties and the target as in one pass', async () => {
  const v = 1_000_003;
  const { uniform } = random(5);
  // 4,001 different scores: about 250 items share each.
  const scores = Float32Array.from({ length: v }, () => Math.floor(uniform() * 4001) / 16);
  scores[v - 1] = 300;
  scores[500_000] = -3e38;
  const order = Array.from(scores.keys()).filter((i) => scores[i] > 249.5);
  const target = order.find((i) => scores[i] === 250) as number;
  order.sort((a, b) => scores[b] - scores[a] || Number(a === target) - Number(b === target) || a - b);
  const x = gpu.tensor(scores, [1, v]);
  const { values, indices } = gpu.scope(() => {
    const best = topk(x, 128, { targets: gpu.tensor(Uint32Array.of(target)) });
    best.values.keep();
    best.indices.keep();
    return best;
  });
  expect([...(await indices.data())]).toEqual(order.slice(0, 128));
  expect([...(await values.data())]).toEqual(order.slice(0, 128).map((i) => scores[i]));
  expect(order[0]).toBe(v - 1);
  for (const t of [x, values, indices]) t.dispose();
});
