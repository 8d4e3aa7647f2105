/**
 * One contract on both devices: a call that one of them refuses is refused by the other with the same words, before anything
 * reaches the device; and what neither refuses (nothing, among others) gives the same values.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  add,
  attention,
  bceWithLogits,
  cachedAttention,
  concat,
  copy,
  crossAttention,
  crossEntropy,
  Device,
  div,
  dropout,
  embedding,
  exp,
  fill,
  gather,
  gelu,
  gemm,
  kernel,
  layernorm,
  log,
  maskSeen,
  matmul,
  type MatmulOptions,
  max,
  mean,
  mul,
  normalize,
  type NumericArray,
  rankOf,
  relativeAttention,
  relu,
  rotary,
  rowDot,
  sampledLoss,
  type SampledLossOptions,
  scale,
  type Shape,
  sigmoid,
  silu,
  slice,
  softmax,
  storeRows,
  sub,
  sum,
  swiglu,
  tableScores,
  tanh,
  type Tensor,
  topk,
  transpose,
} from '../../engine/index.ts';

let gpu: Device;
let cpu: Device;
beforeAll(async () => {
  cpu = await Device.open({ backend: 'cpu' });
  gpu = await Device.open({ backend: 'webgpu' });
});
afterAll(() => gpu?.close());
// Nothing that a test calls may reach the device and kill it.
afterEach(async () => {
  await gpu.settle();
  gpu.check();
});

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const f = (d: Device, ...shape: number[]): Tensor =>
  d.tensor(
    Float32Array.from({ length: count(shape) }, (_, i) => ((i * 7) % 11) / 8 - 0.5),
    shape as Shape,
    { label: 'numbers' },
  );
const u = (d: Device, ...shape: number[]): Tensor =>
  d.tensor(new Uint32Array(count(shape)), shape as Shape, { label: 'ids' });
const leaf = (d: Device, ...shape: number[]): Tensor => {
  const t = f(d, ...shape);
  d.makeLeaf(t);
  return t;
};
const spans = (d: Device, n: number) => ({ start: u(d, n), end: u(d, n) });
const sampled = (d: Device, options: SampledLossOptions) =>
  sampledLoss(f(d, 4), f(d, 4, 8), u(d, 4), u(d, 1, 8), f(d, 4), options);

/** Calls that are wrong, and how the message begins. */
const refused: [string, (d: Device) => unknown, string][] = [
  ...Object.entries({
    relu,
    silu,
    sigmoid,
    tanh,
    exp,
    log,
    gelu,
    softmax,
    sum,
    mean,
    max,
    transpose,
    normalize,
    swiglu,
  }).map(([name, op]): [string, (d: Device) => unknown, string] => [
    `${name} of integers`,
    (d) => op(u(d, 2, 8)),
    `${name}: x must be f32, got u32[2,8] (ids)`,
  ]),
  ...Object.entries({ add, sub, mul, div }).map(([name, op]): [string, (d: Device) => unknown, string] => [
    `${name} of integers`,
    (d) => op(f(d, 2), u(d, 2)),
    `${name}: b must be f32`,
  ]),
  ['add of shapes that differ', (d) => add(f(d, 2, 3), f(d, 4)), 'add: '],
  ['fill of integers by another number than 0', (d) => fill(u(d, 2), 1), 'fill: expected 0 for the u32 tensor'],
  [
    'fill after its end',
    (d) => {
      const x = f(d, 2);
      x.dispose();
      fill(x, 1);
    },
    'fill: numbers [2] was freed',
  ],
  ['mean of nothing', (d) => mean(f(d, 0, 3)), 'mean: '],
  ['max of nothing', (d) => max(f(d, 3, 0), 'last'), 'max: '],
  [
    'sum over what is not there',
    (d) => sum(f(d, 2), 'rows' as 'all'),
    'sum: expected over to be one of all, last, got rows',
  ],
  [
    'max over what is not there',
    (d) => max(f(d, 2), 'first' as 'all'),
    'max: expected over to be one of all, last, got first',
  ],
  ['scale by NaN', (d) => scale(f(d, 2), Number.NaN), 'scale: '],
  ['dropout of all', (d) => dropout(f(d, 2), 1), 'dropout: '],
  ['dropout of NaN', (d) => dropout(f(d, 2), Number.NaN), 'dropout: '],
  ['slice beyond', (d) => slice(f(d, 2, 4), -1, 2, 5), 'slice: '],
  ['concat of none', () => concat([], 0), 'concat: '],
  ['concat of both types', (d) => concat([f(d, 2), u(d, 2)], 0), 'concat: '],
  ['gather by numbers', (d) => gather(f(d, 2, 2), f(d, 2)), 'gather: '],
  ['gather with a gradient', (d) => gather(leaf(d, 2, 2), u(d, 2)), 'gather: '],
  ['reshape', (d) => f(d, 2, 3).reshape([4]), 'reshape: '],
  ['rows beyond', (d) => f(d, 2, 64).rows(1, 3), 'rows: '],
  ['rows that are not aligned', (d) => f(d, 2, 3).rows(1, 2), 'rows: '],
  ['matmul of vectors', (d) => matmul(f(d, 4), f(d, 4)), 'matmul: '],
  ['matmul of shapes that differ', (d) => matmul(f(d, 2, 3), f(d, 4, 2)), 'matmul: '],
  ['matmul of integers', (d) => matmul(u(d, 2, 4), f(d, 4, 2)), 'matmul: a must be f32'],
  [
    'matmul with integers as bias',
    (d) => matmul(f(d, 2, 4), f(d, 4, 2), { bias: u(d, 2) }),
    'matmul: bias must be f32',
  ],
  ['matmul with a bias too long', (d) => matmul(f(d, 2, 4), f(d, 4, 2), { bias: f(d, 4) }), 'matmul: bias must be [2]'],
  [
    'matmul with an activation that is not there',
    (d) => matmul(f(d, 2, 4), f(d, 4, 4), { activation: 'swish' } as unknown as MatmulOptions),
    'matmul: expected activation to be one of none, relu, gelu, silu, got swish',
  ],
  [
    'gemm with an activation that is not there',
    (d) => gemm(d, { a: f(d, 4, 4), b: f(d, 4, 4), c: f(d, 4, 4), m: 4, n: 4, k: 4, activation: 'toString' as 'relu' }),
    'matmul: expected activation to be one of none, relu, gelu, silu, got toString',
  ],
  ['matmul with too much dropout', (d) => matmul(f(d, 2, 4), f(d, 4, 4), { dropout: 2 }), 'matmul: '],
  [
    'gemm in place',
    (d) => {
      const a = f(d, 4, 4);
      gemm(d, { a, b: f(d, 4, 4), c: a, m: 4, n: 4, k: 4 });
    },
    'matmul: numbers [4,4] would be read and written by one dispatch; use a copy() of what is read',
  ],
  [
    'a product with its own gradient',
    (d) => {
      const w = leaf(d, 3);
      sum(mul(w.grad as Tensor, w)).backward();
    },
    'binary_bwd: grad of numbers [3] would be read and written by one dispatch; use a copy() of what is read',
  ],
  [
    'a copy within one memory',
    (d) => {
      const base = f(d, 128);
      const part = d.view(base, 64, [64], 'f32', 'part');
      gemm(d, { a: part, b: f(d, 1, 1), c: base, m: 64, n: 1, k: 1 });
    },
    'matmul: part [64] and numbers [128], which share memory, would be read and written by one dispatch',
  ],
  ['layernorm of nothing', (d) => layernorm(f(d, 2, 0), f(d, 0), f(d, 0)), 'layernorm: '],
  ['layernorm of integers', (d) => layernorm(u(d, 2, 4), f(d, 4), f(d, 4)), 'layernorm: x must be f32'],
  ['layernorm with a short weight', (d) => layernorm(f(d, 2, 4), f(d, 2), f(d, 4)), 'layernorm: '],
  ['rowDot of shapes that differ', (d) => rowDot(f(d, 2, 4), f(d, 2, 8)), 'rowDot: '],
  ['rowDot of width 3', (d) => rowDot(f(d, 2, 3), f(d, 2, 3)), 'rowDot: '],
  ['embedding by numbers', (d) => embedding(f(d, 3, 4), f(d, 2)), 'embedding: '],
  ['embedding in integers', (d) => embedding(u(d, 3, 4), u(d, 2)), 'embedding: table must be f32'],
  ['embedding without groups', (d) => embedding(leaf(d, 3, 4), u(d, 2)), 'embedding: '],
  [
    'crossEntropy of widths that differ',
    (d) => crossEntropy(f(d, 2, 4), f(d, 9, 8), u(d, 2), f(d, 2)),
    'crossEntropy: ',
  ],
  [
    'crossEntropy of integers',
    (d) => crossEntropy(u(d, 2, 4), f(d, 9, 4), u(d, 2), f(d, 2)),
    'crossEntropy: x must be f32',
  ],
  [
    'crossEntropy with numbers as labels',
    (d) => crossEntropy(f(d, 2, 4), f(d, 9, 4), f(d, 2), f(d, 2)),
    'crossEntropy: ',
  ],
  [
    'crossEntropy with too much smoothing',
    (d) => crossEntropy(f(d, 2, 4), f(d, 9, 4), u(d, 2), f(d, 2), { labelSmoothing: 1 }),
    'crossEntropy: ',
  ],
  [
    'crossEntropy after its end',
    (d) => {
      const x = f(d, 2, 4);
      x.dispose();
      crossEntropy(x, f(d, 9, 4), u(d, 2), f(d, 2));
    },
    '',
  ],
  ['bceWithLogits of shapes that differ', (d) => bceWithLogits(f(d, 3), f(d, 3), f(d, 2)), 'bceWithLogits: '],
  [
    'sampledLoss of a kind that is not there',
    (d) => sampled(d, { kind: 'hinge' } as unknown as SampledLossOptions),
    'sampledLoss: expected kind to be one of softmax, bce, bpr, got hinge',
  ],
  [
    'attention of integers',
    (d) => attention(u(d, 4, 24), spans(d, 4), { heads: 2, causal: true }),
    'attention: qkv must be f32',
  ],
  ['attention of half heads', (d) => attention(f(d, 4, 24), spans(d, 4), { heads: 1.5, causal: true }), 'attention: '],
  [
    'attention of bounds too short',
    (d) => attention(f(d, 4, 24), spans(d, 3), { heads: 2, causal: true }),
    'attention: ',
  ],
  [
    'crossAttention of widths that differ',
    (d) => crossAttention(f(d, 4, 8), f(d, 4, 8), { ...spans(d, 4), from: u(d, 4), to: u(d, 4) }, { heads: 2 }),
    'crossAttention: ',
  ],
  [
    'relativeAttention without its bias',
    (d) => relativeAttention(f(d, 4, 24), spans(d, 4), null, { heads: 2, causal: true, position: true, times: null }),
    'relativeAttention: ',
  ],
  [
    'rotary of parts that are not there',
    (d) => rotary(f(d, 2, 24), u(d, 2), f(d, 9, 4), 2, 'qk' as 'q'),
    'rotary: expected parts to be one of qkv, q, kv, got qk',
  ],
  ['rotary with angles of another width', (d) => rotary(f(d, 2, 24), u(d, 2), f(d, 9, 8), 2), 'rotary: '],
  [
    'cachedAttention of integers',
    (d) => cachedAttention(u(d, 2, 8), f(d, 4, 16), { ...spans(d, 2), own: u(d, 2, 1), count: u(d, 2) }, 2),
    'cachedAttention: q must be f32',
  ],
  ['storeRows of width 3', (d) => storeRows(f(d, 2, 3), u(d, 2), f(d, 4, 3)), 'storeRows: '],
  ['tableScores from within a shard', (d) => tableScores(f(d, 2, 4), f(d, 128, 4), 3, 9), 'tableScores: '],
  ['topk of none', (d) => topk(f(d, 2, 8), 0), 'topk: '],
  ['topk of integers', (d) => topk(u(d, 2, 8), 1), 'topk: '],
  ['rankOf with numbers as targets', (d) => rankOf(f(d, 2, 8), f(d, 2)), 'rankOf: '],
  ['maskSeen with short offsets', (d) => maskSeen(f(d, 2, 8), { offsets: u(d, 2), items: u(d, 1) }), 'maskSeen: '],
  ['a scalar wanted', (d) => leaf(d, 3).backward(), 'backward: '],
  [
    'a parameter that is no integer',
    (d) =>
      d.run(
        kernel('fill', (p) => p.n),
        () => {},
        { x: f(d, 4) },
        { n: 1.5, value: 0 },
      ),
    'fill: expected an integer below 2^32 as the parameter n, got 1.5',
  ],
];

const messageOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'not refused';
};

describe('what one device refuses, the other does, too', () => {
  it.each(refused)('%s', (_, call, begins) => {
    const [a, b] = [gpu, cpu].map((device) => {
      const message = messageOf(() => device.scope(() => call(device)));
      return message;
    });
    expect(a).toBe(b);
    expect(a).not.toBe('not refused');
    expect(a.slice(0, begins.length)).toBe(begins);
  });

  it('by tensors of the other device', () => {
    expect(() => add(f(gpu, 2), f(cpu, 2))).toThrow(
      'add: numbers lives on another device'.replace('add', 'binary_fwd'),
    );
    expect(() => add(f(cpu, 2), f(gpu, 2))).toThrow('binary_fwd: numbers lives on another device');
  });
});

/** Calls with nothing in them; the gradients of their leaves are compared, too. */
const empty: [string, (d: Device, leaves: (...shape: number[]) => Tensor) => Tensor | Tensor[]][] = [
  ...Object.entries({ relu, silu, sigmoid, tanh, exp, log, gelu, softmax, copy, sum }).map(
    ([name, op]): (typeof empty)[number] => [`${name} [0]`, (_, x) => op(x(0))],
  ),
  ['softmax [3, 0]', (_, x) => softmax(x(3, 0))],
  ['softmax [0, 3]', (_, x) => softmax(x(0, 3))],
  ['sum [3, 0] over the last', (_, x) => sum(x(3, 0), 'last')],
  ['max [0, 3] over the last', (_, x) => max(x(0, 3), 'last')],
  ['add [0, 3] + [3]', (_, x) => add(x(0, 3), x(3))],
  ['mul [0] · []', (_, x) => mul(x(0), x())],
  ['transpose [0, 3]', (_, x) => transpose(x(0, 3))],
  ['slice of nothing', (_, x) => slice(x(3, 4), -1, 2, 2)],
  ['concat with nothing', (_, x) => concat([x(0, 4), x(2, 4)], 0)],
  ['matmul with K = 0', (_, x) => matmul(x(3, 0), x(0, 4))],
  [
    'matmul with K = 0 and all the rest',
    (_, x) => matmul(x(3, 0), x(0, 4), { bias: x(4), activation: 'gelu', residual: x(3, 4) }),
  ],
  ['matmul with M = 0', (_, x) => matmul(x(0, 4), x(4, 4), { bias: x(4) })],
  ['matmul with N = 0', (_, x) => matmul(x(3, 4), x(4, 0))],
  ['matmul of no batch', (_, x) => matmul(x(0, 3, 4), x(0, 4, 4))],
  ['matmul transposed with M = 0', (_, x) => matmul(x(4, 0), x(4, 4), { transA: true })],
  ['matmul transposed with N = 0', (_, x) => matmul(x(3, 4), x(0, 4), { transB: true })],
  ['layernorm of no rows', (_, x) => layernorm(x(0, 4), x(4), x(4))],
  ['normalize of no rows', (_, x) => normalize(x(0, 4))],
  ['rowDot of no rows', (_, x) => rowDot(x(0, 4), x(0, 4))],
  ['swiglu of no rows', (_, x) => swiglu(x(0, 8))],
  ['bceWithLogits of nothing', (d, x) => bceWithLogits(x(0), f(d, 0), f(d, 0))],
  ['crossEntropy of no rows', (d, x) => crossEntropy(x(0, 4), x(9, 4), u(d, 0), f(d, 0))],
  [
    'crossEntropy of no rows in blocks',
    (d, x) => crossEntropy(x(0, 4), x(200, 4), u(d, 0), f(d, 0), { oneBlockWidth: 64 }),
  ],
  ['attention of no tokens', (d, x) => attention(x(0, 24), spans(d, 0), { heads: 2, causal: true })],
  [
    'crossAttention of no keys',
    (d, x) => crossAttention(x(3, 8), x(0, 16), { ...spans(d, 3), from: u(d, 0), to: u(d, 0) }, { heads: 2 }),
  ],
  [
    'crossAttention of no queries',
    (d, x) => crossAttention(x(0, 8), x(3, 16), { ...spans(d, 0), from: u(d, 3), to: u(d, 3) }, { heads: 2 }),
  ],
  [
    'relativeAttention of no tokens',
    (d, x) =>
      relativeAttention(x(0, 24), spans(d, 0), x(2, 64), { heads: 2, causal: true, position: true, times: null }),
  ],
  ['rotary of no tokens', (d, x) => rotary(x(0, 24), u(d, 0), f(d, 9, 4), 2)],
  ['embedding of no ids', (d) => embedding(f(d, 3, 4), u(d, 0))],
  ['embedding from no rows', (d) => embedding(f(d, 0, 4), u(d, 2))],
  ['gather of no ids', (d) => gather(f(d, 3, 4), u(d, 0))],
  ['gather from no rows', (d) => gather(f(d, 0, 4), u(d, 2))],
  [
    'cachedAttention without a cache',
    (d) => cachedAttention(f(d, 2, 8), f(d, 0, 16), { ...spans(d, 2), own: u(d, 2, 0), count: u(d, 2) }, 2),
  ],
  ['tableScores of no rows', (d) => tableScores(f(d, 2, 4), f(d, 0, 4))],
  ['topk of no rows', (d) => Object.values(topk(f(d, 0, 8), 2))],
  ['rankOf of no rows', (d) => rankOf(f(d, 0, 8), u(d, 0))],
];

describe('nothing is computed alike', () => {
  it.each(empty)('%s', async (_, call) => {
    const run = async (d: Device): Promise<NumericArray[]> => {
      const leaves: Tensor[] = [];
      const outputs = d.scope(() => {
        const out = [
          call(d, (...shape) => {
            leaves.push(leaf(d, ...shape).keep());
            return leaves[leaves.length - 1];
          }),
        ].flat();
        const [first] = out;
        if (leaves.length > 0) sum(mul(first, f(d, ...first.shape))).backward();
        for (const t of out) t.keep();
        return out;
      });
      return (await d.read([...outputs, ...leaves.map((t) => t.grad as Tensor)])).values;
    };
    const [actual, expected] = [await run(gpu), await run(cpu)];
    expect(actual.map((a) => a.length)).toEqual(expected.map((a) => a.length));
    for (const [i, values] of expected.entries())
      for (const [j, v] of values.entries()) expect(actual[i][j], `${i} at ${j}`).toBeCloseTo(v, 5);
  });
});

const NONE = 0xffffffff;
const at = (d: Device, ...ids: number[]): Tensor => d.tensor(Uint32Array.from(ids));

/** Numbers out of range in what the device reads as indices: the same on both devices, and what that is. */
const beyond: [string, (d: Device) => Tensor, (y: NumericArray) => unknown, unknown][] = [
  [
    'labels make the loss NaN',
    (d) => crossEntropy(f(d, 3, 4), f(d, 9, 4), at(d, 1, 9, 2), d.full([3], 1)),
    (y) => y[0],
    Number.NaN,
  ],
  [
    'labels of weight 0 do not',
    (d) => crossEntropy(f(d, 3, 4), f(d, 9, 4), at(d, 1, NONE, 2), d.tensor([1, 0, 1])),
    (y) => Number.isFinite(y[0]),
    true,
  ],
  [
    'labels make it NaN in blocks of columns',
    (d) =>
      crossEntropy(f(d, 3, 4), f(d, 200, 4), at(d, 1, 200, 199), d.full([3], 1), {
        oneBlockWidth: 64,
        blockElements: 65536,
      }),
    (y) => y[0],
    Number.NaN,
  ],
  [
    'labels within do not',
    (d) =>
      crossEntropy(f(d, 3, 4), f(d, 200, 4), at(d, 1, 64, 199), d.full([3], 1), {
        oneBlockWidth: 64,
        blockElements: 65536,
      }),
    (y) => Number.isFinite(y[0]),
    true,
  ],
  [
    'ids of embedding give zeros',
    (d) => embedding(d.full([3, 4], 1), at(d, 2, 3, NONE)),
    (y) => [...y],
    [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
  ],
  ['ids of gather give zeros', (d) => gather(d.full([3, 2], 1), at(d, 2, 3, NONE)), (y) => [...y], [1, 1, 0, 0, 0, 0]],
  [
    'positions of rotary give NaN',
    (d) => rotary(f(d, 3, 24), at(d, 8, 9, NONE), f(d, 9, 4), 2),
    (y) => [0, 8, 16].map((c) => [y[c], y[24 + c], y[48 + c]].map(Number.isNaN)),
    [
      [false, true, true],
      [false, true, true],
      [false, false, false],
    ],
  ],
  [
    'ends of attention give NaN',
    (d) => attention(f(d, 3, 24), { start: at(d, 0, 0, 0), end: at(d, 3, 4, NONE) }, { heads: 2, causal: false }),
    (y) => [y[0], y[8], y[15], y[16]].map(Number.isNaN),
    [false, true, true, true],
  ],
  [
    'ends of causal attention give NaN',
    (d) => attention(f(d, 3, 24), { start: at(d, 0, 0, 5), end: at(d, 3, 4, 9) }, { heads: 2, causal: true }),
    (y) => [y[0], y[8], y[15], y[16]].map(Number.isNaN),
    [false, true, true, true],
  ],
  [
    'ends of wide attention give NaN',
    (d) => attention(f(d, 3, 96), { start: at(d, 0, 0, 0), end: at(d, 3, 4, NONE) }, { heads: 1, causal: false }),
    (y) => [y[0], y[32], y[63], y[64]].map(Number.isNaN),
    [false, true, true, true],
  ],
  [
    'ends of crossAttention give NaN',
    (d) =>
      crossAttention(
        f(d, 3, 8),
        f(d, 2, 16),
        { start: at(d, 0, 0, 9), end: at(d, 2, 3, 9), from: u(d, 2), to: u(d, 2) },
        { heads: 2 },
      ),
    (y) => [y[0], y[8], y[16]],
    [expect.any(Number), Number.NaN, 0],
  ],
  [
    'ends of relativeAttention give NaN',
    (d) =>
      relativeAttention(f(d, 3, 24), { start: at(d, 0, 0, 0), end: at(d, 3, 4, NONE) }, null, {
        heads: 2,
        causal: false,
        position: false,
        times: null,
      }),
    (y) => [y[0], y[8], y[16]].map(Number.isNaN),
    [false, true, true],
  ],
  [
    'ends of pointwise attention give NaN',
    (d) =>
      relativeAttention(f(d, 3, 24), { start: at(d, 0, 0, 0), end: at(d, 3, 4, NONE) }, null, {
        heads: 2,
        causal: false,
        position: false,
        times: null,
        pointwise: 3,
      }),
    (y) => [y[0], y[8], y[16]].map(Number.isNaN),
    [false, true, true],
  ],
  [
    'keys of cachedAttention give NaN',
    (d) =>
      cachedAttention(
        f(d, 3, 8),
        f(d, 4, 16),
        {
          start: at(d, 0, 0, 0),
          end: at(d, 4, 4, NONE),
          own: d.tensor(Uint32Array.of(0, 4, 0), [3, 1]),
          count: at(d, 1, 1, 0),
        },
        2,
      ),
    (y) => [y[0], y[8], y[16]].map(Number.isNaN),
    [false, true, true],
  ],
];

describe('numbers beyond what they point into', () => {
  it.each(beyond)('%s', async (_, call, of, expected) => {
    for (const d of [cpu, gpu]) {
      const y = d.scope(() => call(d).keep());
      expect(of(await y.data()), d.backend).toEqual(expected);
    }
  });

  it.each([8, 32])(
    'make the gradients NaN that they reach, and no others, at a width of %i',
    async (width) => {
      const run = async (d: Device): Promise<number[]> => {
        const qkv = leaf(d, 4, 3 * width);
        const bounds = { start: at(d, 0, 0, 2, 2), end: at(d, 2, 2, 4, 5) };
        d.scope(() => sum(attention(qkv, bounds, { heads: 1, causal: false })).backward());
        return Array.from(await (qkv.grad as Tensor).data());
      };
      const [actual, expected] = [await run(gpu), await run(cpu)];
      // The kernels for subgroups of 8, at widths of 32, let a NaN reach what shares a block of 32 rows with it.
      expect(expected.findIndex((x, i) => Number.isNaN(x) && !Number.isNaN(actual[i]))).toBe(-1);
      if (width % 32 !== 0) expect(actual.map(Number.isNaN)).toEqual(expected.map(Number.isNaN));
      expect(expected.slice(0, 6 * width).some(Number.isNaN)).toBe(false);
      expect(Number.isNaN(expected[9 * width])).toBe(true);
    },
    180_000,
  );
});
