import {
  abs,
  acos,
  acosh,
  add,
  argmax,
  argmin,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  clamp,
  cos,
  cosh,
  div,
  dropout,
  elu,
  equal,
  erf,
  exp,
  floor,
  gelu,
  geluErf,
  greater,
  greaterEqual,
  hardSigmoid,
  leakyRelu,
  less,
  lessEqual,
  log,
  logicalNot,
  logsumexp,
  max,
  maximum,
  mean,
  min,
  minimum,
  mish,
  mul,
  neg,
  notEqual,
  type Over,
  pow,
  prod,
  reciprocal,
  relu,
  round,
  scale,
  type Shape,
  sigmoid,
  sign,
  silu,
  sin,
  sinh,
  softplus,
  softsign,
  sqrt,
  sub,
  sum,
  tan,
  type Tensor,
  tanh,
  where,
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
const steps = { equal, notEqual, less, lessEqual, greater, greaterEqual };
/** Shapes that broadcast in more than one place, in the middle, in front of a suffix, and beyond four axes; and empty ones. */
const BROADCAST: [Shape, Shape][] = [
  [
    [3, 4],
    [3, 1],
  ],
  [
    [5, 1],
    [1, 7],
  ],
  [
    [2, 3, 5],
    [2, 1, 5],
  ],
  [
    [7, 1, 3],
    [4, 1],
  ],
  [
    [2, 1, 3, 1, 2, 1],
    [1, 3, 1, 2, 1, 3],
  ],
  [[1, 1, 1], [3]],
  [
    [67, 1, 5],
    [1, 33, 1],
  ],
  [
    [2, 1],
    [2, 0],
  ],
];
/** Of few values, so that some are equal. */
const few = (_: number, normal: () => number): number => Math.round(2 * normal());
const binaries: Case[] = Object.entries({ add, sub, mul, div, pow, minimum, maximum, ...steps }).flatMap(([op, f]) =>
  (op in { add, sub, mul, div } ? [...PAIRS, ...BROADCAST] : [...BROADCAST, PAIRS[1], PAIRS[3], PAIRS[5]]).map(
    ([a, b]): Case => ({
      op,
      name: `[${a}] with [${b}]`,
      inputs: {
        a: { shape: a, value: op === 'pow' ? positive : op in steps ? few : undefined },
        b: { shape: b, value: op === 'div' ? awayFromZero : op in steps ? few : undefined },
      },
      run: (t) => f(t.a, t.b),
      gradients: op in steps ? false : undefined,
      // Gradients of a broadcast side are sums of up to 12,297 terms.
      tolerance: { abs: 4e-6 * Math.sqrt(Math.max(a[0] ?? 1, b[0] ?? 1)), rel: 1e-5 },
    }),
  ),
);
binaries.push(
  {
    op: 'equal',
    name: 'integers with integers, which all their bits count for',
    inputs: {
      a: { shape: [4], dtype: 'u32', value: (i) => [0, 0x7fc00000, 0xffffffff, 5][i] },
      b: { shape: [2, 1], dtype: 'u32', value: (i) => [0x7fc00000, 5][i] },
    },
    run: ({ a, b }) => equal(a, b),
    gradients: false,
  },
  {
    op: 'less',
    name: 'integers with integers, without a sign',
    inputs: {
      a: { shape: [3], dtype: 'u32', value: (i) => [0, 0x80000000, 7][i] },
      b: { shape: [3], dtype: 'u32', value: (i) => [1, 0x7fffffff, 7][i] },
    },
    run: ({ a, b }) => less(a, b),
    gradients: false,
  },
  {
    op: 'pow',
    name: 'of zeros and negative numbers, and by 0',
    inputs: {
      a: { shape: [10], value: (i) => [0, 0, 0, -2, -2, -2, -3, 5, 0.5, 1e-20][i] },
      b: { shape: [10], value: (i) => [0, 2, 0.5, 0, 3, -2, 2, 0, -1, 0][i] },
    },
    run: ({ a, b }) => pow(a, b),
    gradients: false,
  },
  {
    op: 'mul',
    name: 'a tensor with itself, broadcast',
    inputs: { x: { shape: [3, 1] } },
    run: ({ x }) => mul(x, x.reshape([1, 3])),
  },
);
for (const [condition, a, b] of [
  [[33], [33], [33]],
  [[3, 1], [], [4]],
  [
    [2, 3, 1],
    [3, 5],
    [2, 1, 1],
  ],
  [
    [4, 1],
    [1, 3],
    [4, 3],
  ],
] as [Shape, Shape, Shape][])
  for (const dtype of ['f32', 'u32'] as const)
    binaries.push({
      op: 'where',
      name: `[${condition}] of ${dtype}, [${a}] and [${b}]`,
      inputs: {
        condition: { shape: condition, dtype, grad: false, value: (i) => (i * 5) % 3 },
        a: { shape: a },
        b: { shape: b },
      },
      run: (t) => where(t.condition, t.a, t.b),
    });
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

/** Within (−1, 1), and within (−2, 2) but away from what a function has steps or corners at, halves. */
const within = (_: number, normal: () => number): number => 0.95 * Math.tanh(normal());
const betweenSteps = (_: number, normal: () => number): number => {
  const z = 4 * Math.tanh(normal());
  return Math.floor(z * 2) / 2 + 0.1 + 0.3 * (z * 2 - Math.floor(z * 2));
};
const BOTH = [-1e30, -1e-30, 0, 1e-30, 1e30];

/** WGSL asks of sin and cos an error of 2⁻¹¹ within ±π; SwiftShader makes use of it. */
const COARSE = { abs: 2 ** -11, rel: 2 ** -9 };

interface FunctionCase {
  f(x: Tensor): Tensor;
  value?: InputSpec['value'];
  extreme?: number[];
  tolerance?: Case['tolerance'];
}
const functions: Record<string, FunctionCase> = {
  relu: { f: relu, value: awayFromZero, extreme: [-1e30, -1e-30, 0, 1e-30, 1e30] },
  silu: { f: silu, extreme: [-1e4, -90, -20, 0, 20, 90, 1e4] },
  sigmoid: { f: sigmoid, extreme: [-1e4, -90, -20, 0, 20, 90, 1e4] },
  tanh: { f: tanh, extreme: [-1e4, -90, -20, 0, 20, 90, 1e4] },
  exp: { f: exp, extreme: [-1e4, -80, -20, 0, 20, 80] },
  log: { f: log, value: positive, extreme: [1e-30, 1e-3, 1, 1e3, 1e30] },
  gelu: { f: gelu, extreme: [-1e4, -50, -10, 0, 10, 50, 1e4, 1e-20] },
  geluErf: { f: geluErf, extreme: [-1e4, -50, -10, 0, 10, 50, 1e4, 1e-20] },
  erf: { f: erf, extreme: [-1e4, -6, -0.5, -1e-20, 0, 1e-20, 0.5, 6, 1e4] },
  neg: { f: neg, extreme: BOTH },
  abs: { f: abs, value: awayFromZero, extreme: BOTH },
  sign: { f: sign, value: awayFromZero, extreme: [-1e30, -1, 0, 1, 1e30] },
  sqrt: { f: sqrt, value: positive, extreme: [0, 1e-30, 1, 1e30] },
  reciprocal: { f: reciprocal, value: awayFromZero, extreme: [-1e30, -1e-30, 1e-30, 1e30] },
  floor: { f: floor, value: betweenSteps, extreme: [-2.5, -1, -0.5, 0, 0.5, 1, 2.5, 1e9] },
  ceil: { f: ceil, value: betweenSteps, extreme: [-2.5, -1, -0.5, 0, 0.5, 1, 2.5, 1e9] },
  round: { f: round, value: betweenSteps, extreme: [-2.5, -1.5, -0.5, 0, 0.5, 1.5, 2.5, 1e9] },
  sin: { f: sin, extreme: [-100, 0, 1e-20, 100], tolerance: COARSE },
  cos: { f: cos, extreme: [-100, 0, 1e-20, 100], tolerance: COARSE },
  tan: { f: tan, value: within, extreme: [-1.5, 0, 1e-20, 1.5], tolerance: COARSE },
  asin: { f: asin, value: within, extreme: [-1, -0.5, 0, 1e-20, 1] },
  acos: { f: acos, value: within, extreme: [-1, -0.5, 0, 1e-20, 1] },
  atan: { f: atan, extreme: [-1e4, -1, 0, 1e-20, 1e4] },
  sinh: { f: sinh, extreme: [-80, -20, 0, 20, 80] },
  cosh: { f: cosh, extreme: [-80, -20, 0, 20, 80] },
  asinh: { f: asinh, extreme: [-1e4, -1, 0, 1, 1e4] },
  acosh: { f: (x) => acosh(x), value: (i, normal) => 1.1 + positive(i, normal), extreme: [1, 2, 1e4] },
  atanh: { f: atanh, value: within, extreme: [-0.999, -0.5, 0, 0.5, 0.999] },
  softplus: { f: softplus, extreme: [-1e4, -90, -20, 0, 20, 90, 1e4] },
  softsign: { f: softsign, extreme: BOTH },
  mish: { f: mish, extreme: [-80, -20, 0, 20, 80, 1e4] },
  logicalNot: { f: logicalNot, value: awayFromZero, extreme: [-1, 0, 1, 1e-30] },
  clamp: { f: (x) => clamp(x, -0.75, 1.25), extreme: [-1e30, -0.75, 0, 1.25, 1e30] },
  leakyRelu: { f: (x) => leakyRelu(x, 0.3), value: awayFromZero, extreme: BOTH },
  elu: { f: (x) => elu(x, 1.5), value: awayFromZero, extreme: [-1e30, -20, 0, 20, 1e30] },
  hardSigmoid: { f: (x) => hardSigmoid(x, 0.3, 0.4), extreme: BOTH },
};
const unaries: Case[] = Object.entries(functions).flatMap(
  ([op, { f, value, extreme = [], tolerance = { abs: 4e-6, rel: 1e-5 } }]) => [
    ...[0, ...SIZES].map(
      (n): Case => ({
        op,
        name: `${n} elements`,
        inputs: { x: { shape: [n], value } },
        run: ({ x }) => f(x),
        tolerance,
      }),
    ),
    {
      op,
      name: 'extreme magnitudes',
      inputs: { x: { shape: [extreme.length], value: (i) => extreme[i] } },
      run: ({ x }) => f(x),
      gradients: false,
    },
  ],
);

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
/** Axes in front, in the middle, twice, kept, counted from the end, none, of length 1, and empty. */
const AXES: [Shape, Over, keepdims: boolean][] = [
  [[63, 33], 0, false],
  [[131, 8], 0, true],
  [[3, 5, 7], 1, false],
  [[3, 5, 7], 1, true],
  [[3, 5, 7], [0, 2], false],
  [[3, 5, 7], [-1, -3], true],
  [[2, 3, 4, 5, 2], [1, 3], false],
  [[3, 4], [], false],
  [[3, 1, 4], 1, false],
  [[3, 1, 4], [0, 1], true],
  [[4, 9], [0, 1], true],
  [[2, 65, 3], -2, false],
  [[0, 3], 1, true],
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
const overAxes = { sum, mean, max, min, prod, logsumexp };
for (const [op, f] of Object.entries(overAxes))
  for (const [shape, over, keepdims] of [
    ...AXES,
    ...(op in { sum, mean, max } ? [] : SHAPES.slice(0, 4)),
  ] as typeof AXES)
    if (op !== 'prod' || shape.reduce((a, b) => a * b, 1) < 3000)
      reductions.push({
        op,
        name: `${JSON.stringify(over)} of [${shape}]${keepdims ? ', kept' : ''}`,
        inputs: {
          x: {
            shape,
            value:
              op === 'prod'
                ? (i, normal) => (i === 4 ? 0 : (i % 3 === 1 ? -1 : 1) * Math.exp(0.1 * normal()))
                : undefined,
          },
        },
        run: ({ x }) => f(x, over, { keepdims }),
        tolerance: { abs: 1e-5, rel: 3e-5 },
      });
reductions.push({
  op: 'logsumexp',
  name: 'extreme magnitudes',
  inputs: { x: { shape: [3, 3], value: (i) => [-1e30, 1e30, 5, -3e38, -3e38, -3e38, 5e4, 5e4, -5e4][i] } },
  run: ({ x }) => logsumexp(x, 1),
  gradients: false,
});
for (const [op, f] of Object.entries({ argmax, argmin }))
  for (const [shape, axis, keepdims] of [
    [[33], 0, false],
    [[5, 70], -1, true],
    [[5, 70], 0, false],
    [[2, 5, 3], 1, true],
    [[2, 12300], 1, false],
  ] as [Shape, number, boolean][])
    reductions.push({
      op,
      name: `${axis} of [${shape}]${keepdims ? ', kept' : ''}`,
      inputs: { x: { shape, value: few } },
      run: ({ x }) => f(x, axis, { keepdims }),
      gradients: false,
    });
reductions.push({
  op: 'max',
  name: 'of equals the first gets the gradient',
  inputs: { x: { shape: [2, 70], value: (i) => (i % 70 === 66 || i % 70 === 5 ? -1e30 : -2e30) } },
  run: ({ x }) => max(x, 'last'),
  variants: { max_fwd: ['max_fwd', 'max_fwd_sub8'] },
  gradients: false,
});

export const elementwiseCases: Case[] = [...dropouts, ...binaries, ...scales, ...unaries, ...reductions];
