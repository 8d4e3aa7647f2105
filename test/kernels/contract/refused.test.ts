/** A call that one device refuses is refused by the other with the same words, before anything reaches the device. */
import { describe, expect, it } from 'vitest';
import {
  add,
  addLayernorm,
  attention,
  bceWithLogits,
  cachedAttention,
  clamp,
  concat,
  crossAttention,
  crossBounds,
  crossEntropy,
  type Device,
  div,
  dropout,
  embedding,
  embeddingSum,
  equal,
  exp,
  expand,
  fill,
  gather,
  gelu,
  gemm,
  kernel,
  layernorm,
  less,
  log,
  maskSeen,
  matmul,
  type MatmulOptions,
  max,
  mean,
  mul,
  normalize,
  permute,
  pow,
  rankOf,
  relativeAttention,
  type RelativeAttentionOptions,
  relu,
  rotary,
  rowDot,
  rowGroupLayout,
  sampledLoss,
  type SampledLossOptions,
  scale,
  scatterAdd,
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
  where,
} from '../../../engine/index.ts';
import { cpu, gpu } from '../devices.ts';
import { f, leaf, spans, u } from './values.ts';

const sampled = (d: Device, options: SampledLossOptions) =>
  sampledLoss(f(d, 4), f(d, 4, 8), u(d, 4), u(d, 1, 8), f(d, 4), options);

const crossed = (d: Device, kv: Tensor, heads: number) =>
  crossAttention(f(d, 3, 8), kv, { ...spans(d, 3), from: u(d, 5), to: u(d, 5) }, { heads });

const relative = (d: Device, bias: Tensor | null, more: Partial<RelativeAttentionOptions> = {}) =>
  relativeAttention(f(d, 5, 24), spans(d, 5), bias, { heads: 2, causal: true, position: true, times: null, ...more });

/** Calls that are wrong, and how the message begins: at the call, with both shapes. */
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
    `${name}: b must be f32, got u32[2] (ids)`,
  ]),
  ...(
    [
      ['add', add, [4]],
      ['sub', sub, [2]],
      ['mul', mul, [3, 2]],
      ['div', div, [1, 4]],
      ['pow', pow, [3, 1]],
      ['less', less, [5, 2, 2]],
    ] as const
  ).map(([name, op, shape]): [string, (d: Device) => unknown, string] => [
    `${name} of shapes that differ`,
    (d) => op(f(d, 2, 3), f(d, ...shape)),
    `${name}: expected shapes that broadcast (equal from the last axis on, or 1), got a [2,3] · b [${shape}]`,
  ]),
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
  ['mean of nothing', (d) => mean(f(d, 0, 3)), 'mean: expected at least one element, got [0,3]'],
  ['max of nothing', (d) => max(f(d, 3, 0), 'last'), 'max: expected at least one element, got [3,0]'],
  [
    'sum over what is not there',
    (d) => sum(f(d, 2), 'rows' as 'all'),
    "sum: expected over to be 'all', 'last' or axes, got rows",
  ],
  [
    'max over what is not there',
    (d) => max(f(d, 2), 'first' as 'all'),
    "max: expected over to be 'all', 'last' or axes, got first",
  ],
  ['scale by NaN', (d) => scale(f(d, 2), Number.NaN), 'scale: expected a finite factor, got NaN'],
  ['dropout of all', (d) => dropout(f(d, 2), 1), 'dropout: '],
  ['dropout of NaN', (d) => dropout(f(d, 2), Number.NaN), 'dropout: '],
  [
    'sum of a scalar over its last axis',
    (d) => sum(f(d), 'last'),
    'sum: expected a tensor with axes, got axis -1 of []',
  ],
  ['softmax of a scalar', (d) => softmax(f(d)), 'softmax: x must have at least 1 axes, got []'],
  ['transpose of a vector', (d) => transpose(f(d, 3)), 'transpose: x must have at least 2 axes, got [3]'],
  [
    'swiglu of half a width that is no multiple of 4',
    (d) => swiglu(f(d, 2, 12)),
    'swiglu: expected x [rows, 2F] with F a multiple of 4, got [2,12]',
  ],
  [
    'slice beyond',
    (d) => slice(f(d, 4, 5), -1, 2, 6),
    'slice: expected a range within 0 to 5, got 2 to 6 along axis -1 of [4,5]',
  ],
  [
    'slice of an axis that is not there',
    (d) => slice(f(d, 4, 5, 6), 3, 0, 1),
    'slice: expected an axis from -3 to 2, got axis 3 of [4,5,6]',
  ],
  [
    'slice by a step of 0',
    (d) => slice(f(d, 4), 0, 1, 3, 0),
    'slice: expected a range within 0 to 4, got 1 to 3 by 0 along axis 0 of [4]',
  ],
  ['an axis named twice', (d) => sum(f(d, 2, 3), [1, -1]), 'sum: expected each axis once, got 1,-1 of [2,3]'],
  [
    'softmax along a fraction',
    (d) => softmax(f(d, 2), 0.5),
    'softmax: expected an axis from -1 to 0, got axis 0.5 of [2]',
  ],
  [
    'permute without an axis',
    (d) => permute(f(d, 2, 3), [0, 0]),
    'permute: expected the axes 0 to 1 in some order, got [0,0] for [2,3]',
  ],
  ['expand to less', (d) => expand(f(d, 2, 3), [3]), 'expand: expected a shape that [2,3] broadcasts to, got [3]'],
  ['clamp to NaN', (d) => clamp(f(d, 2), Number.NaN, 1), 'clamp: expected two numbers as ends, got NaN and 1'],
  ['where of two types', (d) => where(f(d, 2), f(d, 2), u(d, 2)), 'where: b must be f32, got u32[2] (ids)'],
  ['where of shapes that differ', (d) => where(f(d, 2), f(d, 3), f(d, 3)), 'where: expected shapes that broadcast'],
  ['comparing integers with numbers', (d) => equal(u(d, 2), f(d, 2)), 'equal: b must be u32, got f32[2] (numbers)'],
  [
    'scatterAdd with ids that do not match',
    (d) => scatterAdd(f(d, 4, 3), u(d, 3), 5),
    "scatterAdd: expected x with the ids' axes [3] from axis 0 on, got [4,3]",
  ],
  [
    'axes that cannot be joined',
    (d) => permute(f(d, 2, 2, 2, 2, 2, 2, 2), [6, 5, 4, 3, 2, 1, 0]),
    'permute: expected at most 6 axes that cannot be joined, got 7 of [2,2,2,2,2,2,2]',
  ],
  [
    'matmul of batches that differ',
    (d) => matmul(f(d, 2, 3, 4), f(d, 5, 4, 2)),
    'matmul: leading axes do not broadcast, a [2,3,4] · b [5,4,2]',
  ],
  ['concat of none', () => concat([], 0), 'concat: expected at least one tensor, got none'],
  ['concat of both types', (d) => concat([f(d, 2), u(d, 2)], 0), 'concat: ids must be f32, got u32[2] (ids)'],
  [
    'concat of shapes that differ',
    (d) => concat([f(d, 2, 3), f(d, 2, 4)], 0),
    'concat: shapes differ outside of axis 0, [2,3] · [2,4]',
  ],
  ['gather by numbers', (d) => gather(f(d, 2, 2), f(d, 2)), 'gather: ids must be u32, got f32[2] (numbers)'],
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
  [
    'layernorm with a long weight',
    (d) => layernorm(f(d, 3, 4), f(d, 5), f(d, 4)),
    'layernorm: expected weight and bias [4], got [5]',
  ],
  [
    'addLayernorm of shapes that differ',
    (d) => addLayernorm(f(d, 3, 4), f(d, 3, 5), f(d, 4), f(d, 4)),
    'addLayernorm: shapes differ, x [3,4] + r [3,5]',
  ],
  [
    'addLayernorm of one tensor twice',
    (d) => {
      const x = f(d, 3, 4);
      addLayernorm(x, x.reshape([3, 4]), f(d, 4), f(d, 4));
    },
    'addLayernorm: expected two different tensors, got the same tensor as x and r',
  ],
  [
    'addLayernorm with dropout of all',
    (d) => addLayernorm(f(d, 3, 4), f(d, 3, 4), f(d, 4), f(d, 4), { dropout: 1 }),
    'addLayernorm: expected a dropout in [0, 1), got 1',
  ],
  ['rowDot of shapes that differ', (d) => rowDot(f(d, 2, 4), f(d, 2, 8)), 'rowDot: '],
  ['rowDot of width 3', (d) => rowDot(f(d, 2, 3), f(d, 2, 3)), 'rowDot: '],
  ['embedding by numbers', (d) => embedding(f(d, 3, 4), f(d, 5)), 'embedding: expected u32 ids, got f32 [5]'],
  ['embedding in a vector', (d) => embedding(f(d, 4), u(d, 5)), 'embedding: expected a table [V,D], got [4]'],
  ['embedding in integers', (d) => embedding(u(d, 3, 4), u(d, 2)), 'embedding: table must be f32'],
  [
    'embedding with groups of other ids',
    (d) => embedding(leaf(d, 3, 4), u(d, 5), u(d, 7)),
    `embedding: expected row groups u32 [${rowGroupLayout(5).words}] for ids [5], got u32 [7]`,
  ],
  [
    'embeddingSum of widths that differ',
    (d) => embeddingSum(f(d, 3, 4), u(d, 5), undefined, f(d, 3, 5), u(d, 5), undefined),
    'embeddingSum: widths differ, [3,4] and [3,5]',
  ],
  [
    'embeddingSum of lengths that differ',
    (d) => embeddingSum(f(d, 3, 4), u(d, 5), undefined, f(d, 3, 4), u(d, 6), undefined),
    'embeddingSum: lengths differ, [5] and [6]',
  ],
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
  [
    'bceWithLogits of shapes that differ',
    (d) => bceWithLogits(f(d, 3), f(d, 3), f(d, 2)),
    'bceWithLogits: shapes differ, logits [3] · weights [2]',
  ],
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
    (d) => crossed(d, f(d, 5, 8), 2),
    'crossAttention: expected q [L, D] and kv [M, 2D], got q [3,8], kv [5,8]',
  ],
  [
    'crossAttention of narrow heads',
    (d) => crossed(d, f(d, 5, 16), 4),
    'crossAttention: expected 4 heads whose width is a',
  ],
  [
    'crossAttention with bounds of other keys',
    (d) => crossed(d, f(d, 4, 16), 2),
    'crossAttention: expected from u32 [4]',
  ],
  [
    'crossBounds of other sequences',
    () => crossBounds([0, 2], [0, 3, 4], 2, 4),
    'crossBounds: expected as many offsets of queries',
  ],
  [
    'crossBounds beyond the queries',
    () => crossBounds([0, 2], [0, 3], 1, 4),
    'crossBounds: expected as many offsets of queries, at most 1',
  ],
  [
    'relativeAttention with a long bias',
    (d) => relative(d, f(d, 2, 128)),
    'relativeAttention: expected a bias [2,64], got [2,128]',
  ],
  [
    'relativeAttention without its bias',
    (d) => relative(d, null, { causal: false }),
    'relativeAttention: expected a bias [2,128], got none',
  ],
  [
    'relativeAttention with too few times',
    (d) => relative(d, f(d, 2, 128), { times: u(d, 4) }),
    'relativeAttention: expected times u32 [5] for qkv [5,24], got u32 [4]',
  ],
  [
    'relativeAttention with times of the queries alone',
    (d) => relative(d, f(d, 2, 64), { queryTimes: u(d, 5) }),
    'relativeAttention: queryTimes require times',
  ],
  [
    'rotary of parts that are not there',
    (d) => rotary(f(d, 2, 24), u(d, 2), f(d, 9, 4), 2, 'qk' as 'q'),
    'rotary: expected parts to be one of qkv, q, kv, got qk',
  ],
  [
    'rotary with angles of another width',
    (d) => rotary(f(d, 2, 24), u(d, 2), f(d, 9, 8), 2),
    'rotary: expected angles [T,4], got [9,8]',
  ],
  [
    'cachedAttention of integers',
    (d) => cachedAttention(u(d, 2, 8), f(d, 4, 16), { ...spans(d, 2), own: u(d, 2, 1), count: u(d, 2) }, 2),
    'cachedAttention: q must be f32',
  ],
  ['storeRows of width 3', (d) => storeRows(f(d, 2, 3), u(d, 2), f(d, 4, 3)), 'storeRows: '],
  ['tableScores from within a shard', (d) => tableScores(f(d, 2, 4), f(d, 128, 4), 3, 9), 'tableScores: '],
  ['topk of none', (d) => topk(f(d, 2, 8), 0), 'topk: expected k from 1 to 128, got 0'],
  ['topk of too many', (d) => topk(f(d, 2, 3), 129), 'topk: expected k from 1 to 128, got 129'],
  ['topk of a vector', (d) => topk(f(d, 6), 2), 'topk: expected scores f32 [R,V] with V ≥ 1, got f32 [6]'],
  [
    'topk with targets of other rows',
    (d) => topk(f(d, 2, 3), 2, { targets: u(d, 3) }),
    'topk: expected targets u32 [2] for scores [2,3], got u32 [3]',
  ],
  ['topk of integers', (d) => topk(u(d, 2, 8), 1), 'topk: '],
  ['rankOf with numbers as targets', (d) => rankOf(f(d, 2, 8), f(d, 2)), 'rankOf: expected targets u32 [2]'],
  [
    'maskSeen with short offsets',
    (d) => maskSeen(f(d, 2, 8), { offsets: u(d, 2), items: u(d, 1) }),
    'maskSeen: expected offsets u32 [3]',
  ],
  [
    'maskSeen of a leaf',
    (d) => maskSeen(leaf(d, 1, 2), { offsets: u(d, 2), items: u(d, 1) }),
    'maskSeen: scores has no gradient here, but numbers [1,2] requires one; it changes scores in place: use noGrad()',
  ],
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
    const [a, b] = [gpu, cpu].map((device) => messageOf(() => device.scope(() => call(device))));
    expect(a).toBe(b);
    expect(a).not.toBe('not refused');
    expect(a.slice(0, begins.length)).toBe(begins);
  });

  it('by tensors of the other device', () => {
    expect(() => add(f(gpu, 2), f(cpu, 2))).toThrow('binary_fwd: numbers lives on another device');
    expect(() => add(f(cpu, 2), f(gpu, 2))).toThrow('binary_fwd: numbers lives on another device');
  });
});
