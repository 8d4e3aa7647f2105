/** What neither device refuses, however odd, gives the same values on both: nothing at all, and indices out of range. */
import { describe, expect, it } from 'vitest';
import {
  add,
  attention,
  bceWithLogits,
  cachedAttention,
  concat,
  copy,
  crossAttention,
  crossEntropy,
  type Device,
  embedding,
  exp,
  gather,
  gelu,
  layernorm,
  log,
  matmul,
  max,
  mul,
  normalize,
  type NumericArray,
  rankOf,
  relativeAttention,
  relu,
  rotary,
  rowDot,
  sigmoid,
  silu,
  slice,
  softmax,
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
