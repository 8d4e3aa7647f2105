/** A call that one device refuses is refused by the other with the same words, before anything reaches the device. */
import { describe, expect, it } from 'vitest';
import {
  add,
  attention,
  bceWithLogits,
  cachedAttention,
  concat,
  crossAttention,
  crossEntropy,
  type Device,
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
  rankOf,
  relativeAttention,
  relu,
  rotary,
  rowDot,
  sampledLoss,
  type SampledLossOptions,
  scale,
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
} from '../../../engine/index.ts';
import { cpu, gpu } from '../devices.ts';
import { f, leaf, spans, u } from './values.ts';

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
