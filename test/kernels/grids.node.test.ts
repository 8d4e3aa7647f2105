/** Grids above 65,535 workgroups, which fold into two dimensions, and one row of a million scores. */
import { expect, it } from 'vitest';
import {
  attention,
  type Device,
  kernel,
  maskSeen,
  matmul,
  type NumericArray,
  softmax,
  type Tensor,
  topk,
} from '../../engine/index.ts';
import { foldGrid } from '../../engine/kernel.ts';
import { firstMismatch, random } from './harness.ts';
import { cpu, gpu } from './devices.ts';

const ROWS = 65_601; // 65,536 and some: one group more than rows, too
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
      if (file) gpu.gpu?.variants.forced.set('softmax_fwd', file);
      const actual = await rowsOfFour(gpu, rows);
      grids.push(actual.length);
      expect(
        firstMismatch(file ?? 'first choice', actual, expected.slice(0, 4 * rows), { abs: 1e-6, rel: 1e-5 }),
      ).toBeNull();
    }
  } finally {
    gpu.gpu?.variants.forced.clear();
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

/** Small integers, so that every product is exact in any order. */
const small = (n: number, modulus: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => ((i * 7919) % modulus) - 2);

const wide: [string, (device: Device) => Tensor][] = [
  [
    'rows',
    (d) => {
      const [a, b] = [d.tensor(small(4 * 1_048_640, 5), [1_048_640, 4]), d.tensor(small(16, 3), [4, 4])];
      return matmul(a, b, { bias: d.tensor([1, 2, 3, 4]), activation: 'relu' });
    },
  ],
  [
    'columns',
    (d) => {
      const [a, b] = [d.tensor(small(4, 3), [1, 4]), d.tensor(small(4 * 2_097_216, 5), [2_097_216, 4])];
      return matmul(a, b, { transB: true });
    },
  ],
];

it.each(wide)('multiplies matrices of more than 65,535 tiles of %s', async (_, product) => {
  const [actual, expected] = await Promise.all(
    [gpu, cpu].map((device) => device.scope(() => product(device).keep()).data()),
  );
  expect(firstMismatch('product', actual, expected, { abs: 0, rel: 0 })).toBeNull();
  gpu.gpu?.buffers.trim();
});

it.each(['matmul_sg8', 'matmul_tile'])(
  'multiplies more than 65,535 matrices by %s',
  async (file) => {
    if (file === 'matmul_sg8' && gpu.caps?.subgroupMax !== 8) return;
    const n = 65_601;
    const run = async (device: Device): Promise<NumericArray> => {
      const [a, b] = [device.tensor(small(n * 4, 5), [n, 1, 4]), device.tensor(small(n * 16, 7), [n, 4, 4])];
      const c = device.scope(() => matmul(a, b).keep());
      const values = await c.data();
      for (const t of [a, b, c]) t.dispose();
      return values;
    };
    const expected = await run(cpu);
    gpu.gpu?.variants.forced.set('matmul', file);
    try {
      expect(firstMismatch(file, await run(gpu), expected, { abs: 0, rel: 0 })).toBeNull();
    } finally {
      gpu.gpu?.variants.forced.clear();
    }
  },
  180_000,
);

it('refuses a grid that no dispatch can have, at the call', async () => {
  const qkv = gpu.tensor(new Float32Array(12 * 70_000 * 16), [70_000 * 16, 12]);
  const bounds = gpu.tensor(new Uint32Array(70_000 * 16));
  gpu.gpu?.variants.forced.set('attention_fwd', 'attention_fwd_tile');
  try {
    // 64 rows a workgroup here: it fits.
    expect(() => attention(qkv, { start: bounds, end: bounds }, { heads: 1, causal: true })).not.toThrow();
  } finally {
    gpu.gpu?.variants.forced.clear();
  }
  const what = kernel('fill', () => [70_000, 1, 1]);
  expect(() => gpu.run(what, () => {}, { x: qkv }, { n: 1, value: 0 })).toThrow(
    'fill: a grid of 70000 × 1 × 1 workgroups is beyond what WebGPU runs, 65535 along each dimension; split the batch',
  );
  for (const t of [qkv, bounds]) t.dispose();
  gpu.check();
  await gpu.settle();
});
