import {
  add,
  div,
  dropout,
  exp,
  log,
  max,
  mean,
  mul,
  type Over,
  relu,
  scale,
  type Shape,
  sigmoid,
  silu,
  sub,
  sum,
  type Tensor,
  tanh,
} from '../../../engine/index.ts';
import { type Case, everyWidth, type InputSpec } from '../harness.ts';

const ELEMENTWISE = { abs: 1e-6, rel: 1e-5 };
const SIZES = [1, 33, 1023, 1025];
/** Away from zero, where a quotient's slope explodes and ReLU has none. */
const awayFromZero = (_: number, normal: () => number): number => {
  const z = normal();
  return z + (z < 0 ? -0.5 : 0.5);
};
const positive = (_: number, normal: () => number): number => Math.exp(0.5 * normal());

const dropouts: Case[] = SIZES.map((n) => ({
  op: 'dropout',
  name: `${n} elements`,
  inputs: { x: { shape: [n] } },
  run: ({ x }) => dropout(x, 0.25),
  tolerance: { abs: 1e-7, rel: 1e-6 },
}));

/** Shapes of a and b: equal, scalars, suffixes (vec4-aligned and not), long enough for two-pass sums, and empty. */
const PAIRS: [Shape, Shape][] = [
  [[1], [1]],
  [[33], [33]],
  [
    [5, 205],
    [5, 205],
  ],
  [[3, 7], []],
  [[1], [3, 7]],
  [[9, 12], [12]],
  [[7], [5, 7]],
  [
    [2, 3, 5],
    [3, 5],
  ],
  [[131, 7], [7]],
  [[131, 8], [8]],
  [[4099, 3], [1]],
  [[0, 4], [4]],
];
const binaries: Case[] = Object.entries({ add, sub, mul, div }).flatMap(([op, f]) =>
  PAIRS.map(
    ([a, b]): Case => ({
      op,
      name: `[${a}] with [${b}]`,
      inputs: { a: { shape: a }, b: { shape: b, value: op === 'div' ? awayFromZero : undefined } },
      run: (t) => f(t.a, t.b),
      // Gradients of a broadcast side are sums of up to 12,297 terms.
      tolerance: { abs: 4e-6 * Math.sqrt(Math.max(a[0] ?? 1, b[0] ?? 1)), rel: 1e-5 },
    }),
  ),
);
binaries.push({
  op: 'add',
  name: 'a tensor with itself',
  inputs: { x: { shape: [37] } },
  run: ({ x }) => add(x, x),
  tolerance: ELEMENTWISE,
});
binaries.push({
  op: 'mul',
  name: 'a tensor with itself, used again',
  inputs: { x: { shape: [37] } },
  run: ({ x }) => add(mul(x, x), x),
  tolerance: ELEMENTWISE,
});

const scales: Case[] = SIZES.map((n) => ({
  op: 'scale',
  name: `${n} elements`,
  inputs: { x: { shape: [n] } },
  run: ({ x }) => scale(x, -0.37),
  tolerance: ELEMENTWISE,
}));

const functions: Record<string, { f(x: Tensor): Tensor; value?: InputSpec['value']; extreme?: number[] }> = {
  relu: { f: relu, value: awayFromZero, extreme: [-1e30, -1e-30, 0, 1e-30, 1e30] },
  silu: { f: silu, extreme: [-1e4, -90, -20, 0, 20, 90, 1e4] },
  sigmoid: { f: sigmoid, extreme: [-1e4, -90, -20, 0, 20, 90, 1e4] },
  tanh: { f: tanh, extreme: [-1e4, -90, -20, 0, 20, 90, 1e4] },
  exp: { f: exp, extreme: [-1e4, -80, -20, 0, 20, 80] },
  log: { f: log, value: positive, extreme: [1e-30, 1e-3, 1, 1e3, 1e30] },
};
const unaries: Case[] = Object.entries(functions).flatMap(([op, { f, value, extreme = [] }]) => [
  ...[0, ...SIZES].map(
    (n): Case => ({
      op,
      name: `${n} elements`,
      inputs: { x: { shape: [n], value } },
      run: ({ x }) => f(x),
      tolerance: { abs: 4e-6, rel: 1e-5 },
    }),
  ),
  {
    op,
    name: 'extreme magnitudes',
    inputs: { x: { shape: [extreme.length], value: (i) => extreme[i] } },
    run: ({ x }) => f(x),
    gradients: false,
  },
]);

const SHAPES: [Shape, Over][] = [
  [[1], 'all'],
  [[33], 'all'],
  [[3, 4097], 'all'],
  [[20001], 'all'],
  [[0, 3], 'all'],
  [[33], 'last'],
  [[5, 1], 'last'],
  [[63, 33], 'last'],
  [[65, 32], 'last'],
  [[2, 3, 65], 'last'],
  [[2, 12300], 'last'],
  [[0, 8], 'last'],
];
const reductions: Case[] = Object.entries({ sum, mean, max }).flatMap(([op, f]) =>
  SHAPES.filter(([shape, over]) => op === 'sum' || over === 'last' || shape[0] > 0).map(
    ([shape, over]): Case => ({
      op,
      name: `${over} of [${shape}]`,
      inputs: { x: { shape } },
      run: ({ x }) => f(x, over),
      tolerance: { abs: 2e-6 * Math.sqrt(op === 'sum' ? Math.max(1, ...shape) : 1), rel: 1e-5 },
      variants:
        op === 'max'
          ? { max_fwd: ['max_fwd', 'max_fwd_sub8'] }
          : { sum_last: ['sum_last', 'sum_last_sub8', ...everyWidth('sum_last_sub')] },
    }),
  ),
);
reductions.push({
  op: 'max',
  name: 'of equals the first gets the gradient',
  inputs: { x: { shape: [2, 70], value: (i) => (i % 70 === 66 || i % 70 === 5 ? -1e30 : -2e30) } },
  run: ({ x }) => max(x, 'last'),
  variants: { max_fwd: ['max_fwd', 'max_fwd_sub8'] },
  gradients: false,
});

export const elementwiseCases: Case[] = [...dropouts, ...binaries, ...scales, ...unaries, ...reductions];
