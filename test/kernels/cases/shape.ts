import {
  concat,
  copy,
  expand,
  gather,
  logSoftmax,
  permute,
  scatterAdd,
  type Shape,
  slice,
  softmax,
  transpose,
} from '../../../engine/index.ts';
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
for (const [shape, axis] of [
  [[5, 7], 0],
  [[2, 33, 3], 1],
  [[3, 2, 4, 5], -3],
  [[4, 1, 3], 1],
] as [Shape, number][])
  softmaxes.push({
    op: 'softmax',
    name: `along ${axis} of [${shape}]`,
    inputs: { x: { shape } },
    run: ({ x }) => softmax(x, axis),
  });
for (const [shape, axis] of [
  [[5, 7], -1],
  [[2, 33, 3], 1],
] as [Shape, number][])
  softmaxes.push({
    op: 'softmax',
    name: `its logarithm, along ${axis} of [${shape}]`,
    inputs: { x: { shape, value: (_, normal) => 3 * normal() } },
    run: ({ x }) => logSoftmax(x, axis),
  });
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
    [[4, 9, 3], 1, 2, 7],
    [[33], 0, 3, 32, 4],
    [[6, 7], -1, 6, -1, -1],
    [[5, 9, 2], 1, 7, 1, -3],
    [[4, 5], 0, 3, 0, -2],
    [[3, 4], 0, 0, 3, 5],
    [[5, 4], 0, 2, 2, -1],
  ] as [Shape, number, number, number, number?][]
).map(([shape, axis, from, to, step]) => ({
  op: 'slice',
  name: `[${shape}] along ${axis}, ${from} to ${to}${step ? ` by ${step}` : ''}`,
  inputs: { x: { shape } },
  run: ({ x }) => slice(x, axis, from, to, step),
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
    ['2,3,4 2,1,4 2,2,4', 1],
    ['2,3,2,3 2,3,1,3', -2],
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

const permutes: Case[] = (
  [
    [
      [5, 7],
      [1, 0],
    ],
    [
      [2, 3, 4],
      [2, 0, 1],
    ],
    [
      [3, 33, 5],
      [0, 2, 1],
    ],
    [
      [2, 3, 2, 5],
      [3, 1, 0, 2],
    ],
    [
      [2, 3, 2, 2, 3, 2],
      [5, 3, 1, 4, 2, 0],
    ],
    [
      [3, 1, 4],
      [1, 0, 2],
    ],
    [[], []],
    [
      [0, 3],
      [1, 0],
    ],
  ] as [Shape, number[]][]
).map(([shape, order]) => ({
  op: 'permute',
  name: `[${shape}] to [${order}]`,
  inputs: { x: { shape } },
  run: ({ x }) => permute(x, order),
  tolerance: EXACT,
}));
permutes.push({
  op: 'permute',
  name: 'u32, of which every bit is kept',
  inputs: { x: { shape: [2, 3], dtype: 'u32', value: (i) => [0, 1, 0x7f800001, 0xffffffff, 0x80000000, 3][i] } },
  run: ({ x }) => permute(x, [1, 0]),
  tolerance: EXACT,
  gradients: false,
});
for (const [from, to] of [
  [[], [2, 3]],
  [
    [3, 1],
    [3, 4],
  ],
  [
    [1, 5],
    [2, 7, 5],
  ],
  [
    [2, 1, 3, 1],
    [2, 5, 3, 2],
  ],
  [[4], [4]],
  [
    [1, 3],
    [0, 3],
  ],
] as [Shape, Shape][])
  permutes.push({
    op: 'expand',
    name: `[${from}] to [${to}]`,
    inputs: { x: { shape: from } },
    run: ({ x }) => expand(x, to),
    tolerance: { abs: 1e-5, rel: 1e-5 },
  });

const scatters: Case[] = (
  [
    [[33], [33], 9, 0],
    [[70, 3], [70], 5, 0],
    [[2, 3, 65], [2, 3], 4, 0],
    [[2, 7, 3], [7], 6, 1],
    [[0, 4], [0], 3, 0],
    [[130, 2], [130], 1, 0],
  ] as [Shape, Shape, number, number][]
).map(([shape, ids, rows, axis]) => ({
  op: 'scatterAdd',
  name: `[${shape}] to ${rows} rows from axis ${axis}`,
  // Some beyond the last row.
  inputs: { x: { shape }, ids: { shape: ids, dtype: 'u32', value: (i) => (i * 7 + 2) % (rows + 1) } },
  run: ({ x, ids: to }) => scatterAdd(x, to, rows, axis),
  tolerance: { abs: 1e-5, rel: 1e-5 },
}));

const gathers: Case[] = ['5,1 3', '9,8 33', '7,5 2,3', '4 6', '3,4 0'].map(shapes).map(([shape, ids]) => ({
  op: 'gather',
  name: `rows of [${shape}] for [${ids}]`,
  inputs: { x: { shape }, ids: { shape: ids, dtype: 'u32', value: (i) => (i * 7 + 2) % shape[0] } },
  run: (t) => gather(t.x, t.ids),
  tolerance: { abs: 1e-5, rel: 1e-5 },
}));
for (const [shape, ids, axis] of [
  [[4, 6, 3], [5], 1],
  [[4, 6], [2, 3], -1],
  [[2, 3, 8], [2], 1],
] as [Shape, Shape, number][])
  gathers.push({
    op: 'gather',
    name: `along ${axis} of [${shape}] for [${ids}]`,
    inputs: { x: { shape }, ids: { shape: ids, dtype: 'u32', value: (i) => (i * 5 + 2) % 7 } },
    run: (t) => gather(t.x, t.ids, axis),
    tolerance: { abs: 1e-5, rel: 1e-5 },
  });

export const shapeCases: Case[] = [
  ...softmaxes,
  ...copies,
  ...slices,
  ...concats,
  ...transposes,
  ...permutes,
  ...gathers,
  ...scatters,
];
