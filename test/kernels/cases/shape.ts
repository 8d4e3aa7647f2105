import { concat, copy, gather, type Shape, slice, softmax, transpose } from '../../../engine/index.ts';
import { type Case, everyWidth, shapes } from '../harness.ts';

const EXACT = { abs: 0, rel: 0 };

const softmaxes: Case[] = shapes('1,1 3,33 9,32 2,3,63 7,64 5,65 17,200 18,201 3,260 2,1028 0,8').map((shape) => ({
  op: 'softmax',
  name: `[${shape}]`,
  inputs: { x: { shape, value: (_, normal) => 3 * normal() } },
  run: ({ x }) => softmax(x),
  tolerance: { abs: 1e-6, rel: 2e-5 },
  variants: {
    softmax_fwd: [
      'softmax_fwd',
      'softmax_fwd_sg8 WG=64',
      'softmax_fwd_sg8 WG=256',
      'softmax_fwd_sub8',
      'softmax_fwd_odd8',
      ...everyWidth('softmax_fwd_sub'),
    ],
    softmax_bwd: ['softmax_bwd', 'softmax_bwd_sub8', 'softmax_bwd_odd8', ...everyWidth('softmax_bwd_sub')],
  },
}));
const EXTREME = [-1e30, 1e30, 1e30, -3e38, 5e4, 5e4, 5e4, 5e4 + 1];
softmaxes.push({
  op: 'softmax',
  name: 'extreme magnitudes',
  inputs: { x: { shape: [2, 4], value: (i) => EXTREME[i] } },
  run: ({ x }) => softmax(x),
  variants: {
    softmax_fwd: ['softmax_fwd', 'softmax_fwd_sg8', 'softmax_fwd_sub8', 'softmax_fwd_odd8', 'softmax_fwd_sub'],
  },
  gradients: false,
});

const copies: Case[] = [1, 33, 1024, 1025].map((n) => ({
  op: 'copy',
  name: `${n} elements`,
  inputs: { x: { shape: [n] } },
  run: ({ x }) => copy(x),
  tolerance: EXACT,
  variants: { copy_block: ['copy_block SIZE=1', 'copy_block SIZE=4'] },
}));
copies.push({
  op: 'copy',
  name: 'u32, of which every bit is kept',
  inputs: { x: { shape: [6], dtype: 'u32', value: (i) => [0, 1, 0x7f800001, 0xffffffff, 0x80000000, 3][i] } },
  run: ({ x }) => copy(x),
  tolerance: EXACT,
  gradients: false,
});

const slices: Case[] = (
  [
    [[33], 0, 5, 20],
    [[7, 5], 0, 2, 6],
    [[7, 5], -1, 1, 4],
    [[9, 16], -1, 4, 12],
    [[4, 3, 8], 0, 1, 3],
    [[4, 3, 8], -1, 0, 8],
    [[65, 12], 0, 8, 64],
    [[5, 4], 0, 2, 2],
  ] as [Shape, number, number, number][]
).map(([shape, axis, from, to]) => ({
  op: 'slice',
  name: `[${shape}] along ${axis}, ${from} to ${to}`,
  inputs: { x: { shape } },
  run: ({ x }) => slice(x, axis, from, to),
  tolerance: EXACT,
}));
slices.push({
  op: 'slice',
  name: 'two overlapping ranges add their gradients',
  inputs: { x: { shape: [6, 8] } },
  run: ({ x }) => concat([slice(x, -1, 0, 4), slice(x, -1, 2, 8)], -1),
  tolerance: { abs: 1e-6, rel: 1e-6 },
});

const concats: Case[] = (
  [
    ['3 4', 0],
    ['2,5 1,5 4,5', 0],
    ['3,2 3,5', -1],
    ['3,4 3,8 3,4', -1],
    ['2,3,4 2,3,8', -1],
    ['2,3 0,3', 0],
  ] as const
).map(([line, axis]) => ({
  op: 'concat',
  name: `${shapes(line)
    .map((s) => `[${s}]`)
    .join(' ')} along ${axis}`,
  inputs: Object.fromEntries(shapes(line).map((shape, i) => [`x${i}`, { shape }])),
  run: (t) => concat(Object.values(t), axis),
  tolerance: EXACT,
}));
concats.push({
  op: 'concat',
  name: 'a tensor with itself',
  inputs: { x: { shape: [3, 4] } },
  run: ({ x }) => concat([x, x], 0),
  tolerance: { abs: 1e-6, rel: 1e-6 },
});

const transposes: Case[] = shapes('1,1 33,15 16,17 20,32 3,8,12 2,5,7 0,4').map((shape) => ({
  op: 'transpose',
  name: `[${shape}]`,
  inputs: { x: { shape } },
  run: ({ x }) => transpose(x),
  tolerance: EXACT,
  variants: { transpose: ['transpose', 'transpose_block4'] },
}));

const gathers: Case[] = ['5,1 3', '9,8 33', '7,5 2,3', '4 6', '3,4 0'].map(shapes).map(([shape, ids]) => ({
  op: 'gather',
  name: `rows of [${shape}] for [${ids}]`,
  inputs: { x: { shape, grad: false }, ids: { shape: ids, dtype: 'u32', value: (i) => (i * 7 + 2) % shape[0] } },
  run: (t) => gather(t.x, t.ids),
  tolerance: EXACT,
  gradients: false,
}));

export const shapeCases: Case[] = [...softmaxes, ...copies, ...slices, ...concats, ...transposes, ...gathers];
