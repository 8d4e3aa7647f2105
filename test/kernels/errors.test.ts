/** What the elementwise, shape and loss ops say when they are called wrongly: at the call, with both shapes. */
import { describe, expect, it } from 'vitest';
import {
  add,
  bceWithLogits,
  concat,
  div,
  gather,
  max,
  mean,
  mul,
  relativeAttention,
  type RelativeAttentionOptions,
  relu,
  rotary,
  scale,
  type Shape,
  slice,
  softmax,
  sub,
  sum,
  swiglu,
  type Tensor,
  transpose,
} from '../../engine/index.ts';
import { cpu, gpu as device } from './devices.ts';

const f32 = (...shape: number[]): Tensor => device.zeros(shape);
const u32 = (...shape: number[]): Tensor =>
  device.tensor(new Uint32Array(shape.reduce((a, b) => a * b, 1)), shape as Shape, { label: 'ids' });

const biased = (bias: Tensor | null, more: Partial<RelativeAttentionOptions>) =>
  relativeAttention(f32(5, 24), { start: u32(5), end: u32(5) }, bias, {
    heads: 2,
    causal: true,
    position: true,
    times: null,
    ...more,
  });

const expected: [string, () => unknown, string][] = [
  ['swiglu', () => swiglu(f32(2, 12)), 'swiglu: expected x [rows, 2F] with F a multiple of 4, got [2,12]'],
  ['rotary', () => rotary(f32(2, 24), u32(2), f32(9, 8), 2), 'rotary: expected angles [T,4], got [9,8]'],
  ['relativeAttention', () => biased(f32(2, 128), {}), 'relativeAttention: expected a bias [2,64], got [2,128]'],
  [
    'relativeAttention: no table',
    () => biased(null, { causal: false }),
    'relativeAttention: expected a bias [2,128], got none',
  ],
  [
    'relativeAttention: times',
    () => biased(f32(2, 128), { times: u32(4) }),
    'relativeAttention: expected times u32 [5] for qkv [5,24], got u32 [4]',
  ],
  [
    'add',
    () => add(f32(2, 3), f32(4)),
    'add: expected equal shapes, a scalar or a suffix of the other, got a [2,3] · b [4]',
  ],
  [
    'sub',
    () => sub(f32(2, 3), f32(2)),
    'sub: expected equal shapes, a scalar or a suffix of the other, got a [2,3] · b [2]',
  ],
  [
    'mul',
    () => mul(f32(2, 3), f32(3, 2)),
    'mul: expected equal shapes, a scalar or a suffix of the other, got a [2,3] · b [3,2]',
  ],
  [
    'div',
    () => div(f32(2, 3), f32(2, 1)),
    'div: expected equal shapes, a scalar or a suffix of the other, got a [2,3] · b [2,1]',
  ],
  ['a type', () => add(f32(2), u32(2)), 'add: b must be f32, got u32[2] (ids)'],
  ['relu', () => relu(u32(2)), 'relu: x must be f32, got u32[2] (ids)'],
  ['scale', () => scale(f32(2), Number.NaN), 'scale: expected a finite factor, got NaN'],
  ['sum', () => sum(f32(), 'last'), 'sum: x must have at least 1 axes, got []'],
  ['mean', () => mean(f32(0, 3)), 'mean: expected at least one element, got [0,3]'],
  ['max', () => max(f32(3, 0), 'last'), 'max: expected at least one element, got [3,0]'],
  ['softmax', () => softmax(f32()), 'softmax: x must have at least 1 axes, got []'],
  [
    'slice',
    () => slice(f32(4, 5), -1, 2, 6),
    'slice: expected a range within 0 to 5, got 2 to 6 along axis -1 of [4,5]',
  ],
  ['slice axis', () => slice(f32(4, 5, 6), 1, 0, 1), 'slice: expected axis 0 or -1 (the last), got 1 for [4,5,6]'],
  ['concat', () => concat([f32(2, 3), f32(2, 4)], 0), 'concat: shapes differ outside of axis 0, [2,3] · [2,4]'],
  ['concat of none', () => concat([], 0), 'concat: expected at least one tensor, got none'],
  ['concat types', () => concat([f32(2), u32(2)], 0), 'concat: ids must be f32, got u32[2] (ids)'],
  ['transpose', () => transpose(f32(3)), 'transpose: x must have at least 2 axes, got [3]'],
  ['gather', () => gather(f32(3, 2), f32(2)), 'gather: ids must be u32, got f32[2]'],
  [
    'gather with a gradient',
    () => gather(device.tensor([1, 2], [2, 1], { label: 'table', requiresGrad: true }), u32(1)),
    'gather: x has no gradient here, but table [2,1] requires one; use embedding, or noGrad()',
  ],
  [
    'bceWithLogits',
    () => bceWithLogits(f32(3), f32(3), f32(2)),
    'bceWithLogits: shapes differ, logits [3] · weights [2]',
  ],
];

describe('errors at the call', () => {
  it.each(expected)('%s', (_, call, message) => expect(call).toThrow(message));
});

describe('ids beyond the table', () => {
  it('give zeros on both devices', async () => {
    for (const d of [device, cpu]) {
      const y = gather(d.tensor([1, 2, 3, 4], [2, 2]), d.tensor(Uint32Array.of(1, 2, 4294967295, 0)));
      expect(Array.from(await y.data())).toEqual([3, 4, 0, 0, 0, 0, 1, 2]);
    }
  });
});
