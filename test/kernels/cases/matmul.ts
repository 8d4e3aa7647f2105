import { matmul, mul, type Shape, type Tensor } from '../../../engine/index.ts';
import { type Case, shapes } from '../harness.ts';

const [TALL, ...tiles] = [
  'BM=32 BN=32 BK=16 TM=4 TN=4',
  'BM=64 BN=64 BK=16 TM=8 TN=4',
  'BM=128 BN=128 BK=8 TM=8 TN=8',
  'BM=128 BN=64 BK=16 TM=8 TN=8',
  'BM=64 BN=64 BK=16 TM=8 TN=8',
  'BM=64 BN=64 BK=16 TM=4 TN=4',
].map((tuning) => `matmul_gpu ${tuning}`);
// A forced matmul_part splits the product along K.
export const MATMUL_VARIANTS = { matmul: ['matmul_sg8', 'matmul_tile', TALL], matmul_part: [TALL] };
/** The large tiles for 8 lanes have cases of their own, since they take seconds to compile. */
const withWide = { ...MATMUL_VARIANTS, matmul: [...MATMUL_VARIANTS.matmul, 'matmul_sg8_wide'] };
/** Panels of B for subgroups of these widths; a panel has 64 steps of k, and 32, 64 or 128 columns. */
const panels = { matmul: [8, 4, 16].map((lanes) => `matmul_panel LANES=${lanes}`) };
const bound = (k: number) => ({ abs: 3e-6 * Math.sqrt(k), rel: 1e-5 });

const plain = ([m, k, n]: Shape, transA: boolean, transB: boolean): Case => ({
  op: 'matmul',
  name: `${m}×${k}×${n}${transA ? ' Aᵀ' : ''}${transB ? ' Bᵀ' : ''}`,
  inputs: { a: { shape: transA ? [k, m] : [m, k] }, b: { shape: transB ? [n, k] : [k, n] } },
  run: ({ a, b }) => matmul(a, b, { transA, transB }),
  tolerance: bound(Math.max(k, m, n)),
  variants: MATMUL_VARIANTS,
});

const flags = [false, true];
const fewRows = shapes('1,64,132 2,20,5 3,4,64 4,128,200').map(
  (size): Case => ({
    ...plain(size, false, true),
    name: `few rows, ${size.join('×')} Bᵀ`,
    variants: { matmul: ['matmul_few'] },
  }),
);

/** The tiles in f16 of the same sizes; the large ones in one case, since they take seconds to compile. */
const halves = [TALL, tiles[0]].map((tile) => tile.replace('matmul_gpu', 'matmul_gpu_f16'));
export const matrices = [
  [16, 16, 16],
  [16, 8, 16],
  [8, 16, 16],
].flatMap(([SM, SN, SK]) =>
  ['BM=64 BN=64 BK=32 WM=32 WN=32', 'BM=128 BN=128 BK=16 WM=64 WN=64'].map(
    (tile) => `matmul_matrix ${tile} SM=${SM} SN=${SN} SK=${SK}`,
  ),
);
const mixed = (c: Case): Case => ({
  ...c,
  name: `mixed, ${c.name}`,
  precision: 'mixed',
  tolerance: { abs: 1e-2, rel: 1e-2 },
  variants: { matmul_mixed: [halves[0], matrices[0]] },
});
export const mixedCases: Case[] = [
  ...flags.flatMap((ta) => flags.map((tb) => mixed(plain([36, 20, 68], ta, tb)))),
  {
    ...mixed(plain([100, 20, 132], false, false)),
    name: 'mixed, every tile, whole and in parts',
    gradients: false,
    variants: { matmul_mixed: [halves[1], ...matrices], matmul_mixed_part: [halves[0], matrices[0]] },
  },
  mixed(plain([20, 7, 12], true, false)),
  mixed({
    op: 'matmul',
    name: 'bias, gelu, dropout and residual',
    inputs: {
      a: { shape: [35, 24] },
      b: { shape: [24, 40] },
      bias: { shape: [40] },
      residual: { shape: [35, 40] },
    },
    run: ({ a, b, bias, residual }) => matmul(a, b, { bias, residual, activation: 'gelu', dropout: 0.25 }),
  }),
];

/** Epilogues of dropout and residual; the first two where rows are whole vec4s, the second in the large tiles, too. */
const epilogues: Case[] = (
  [
    ['bias, dropout and residual', 40, { dropout: 0.25 }, true],
    ['gelu, dropout and residual', 40, { dropout: 0.25, activation: 'gelu' }, true],
    ['relu and residual, odd width', 37, { activation: 'relu' }, true],
    ['dropout alone, odd width', 37, { dropout: 0.5 }, false],
  ] as const
).map(
  ([name, n, options, residual], i): Case => ({
    op: 'matmul',
    name,
    inputs: {
      a: { shape: [35, 24] },
      b: { shape: [24, n] },
      bias: { shape: [n] },
      ...(residual && { residual: { shape: [35, n] } }),
    },
    run: (t) => matmul(t.a, t.b, { bias: t.bias, residual: t.residual, ...options }),
    tolerance: bound(64),
    variants: i === 1 ? withWide : MATMUL_VARIANTS,
  }),
);
/** Leading axes that broadcast. */
const batches: Case[] = (
  [
    [[3, 4], [2, 4, 5], false],
    [[2, 1, 3, 4], [5, 4, 6], false],
    [[1, 3, 4], [2, 4, 1], false],
    [[3, 4, 8], [4, 8], true],
    [[2, 1, 4, 3], [1, 3, 4, 8], true],
  ] as [Shape, Shape, boolean][]
).map(([a, b, transA]) => ({
  op: 'matmul',
  name: `batches that broadcast, [${a}]${transA ? ' transposed' : ''} and [${b}]`,
  inputs: { a: { shape: a }, b: { shape: b } },
  run: (t) => matmul(t.a, t.b, { transA }),
}));

export const matmulCases: Case[] = [
  ...batches,
  ...shapes('1,1,1 33,7,5 16,4,32 17,12,36 64,64,64 63,65,66 100,20,132').flatMap((size) =>
    flags.flatMap((ta) => flags.map((tb) => plain(size, ta, tb))),
  ),
  ...fewRows,
  { ...plain([100, 20, 132], false, false), name: 'wide, forward and both gradients', variants: withWide },
  { ...plain([36, 7, 68], true, false), name: 'wide, Aᵀ with an odd K', variants: withWide },
  ...[
    [70, 64, 132],
    [70, 132, 68],
    [20, 65, 36],
  ].flatMap((size) =>
    flags.map(
      (tb): Case => ({
        ...plain(size, false, tb),
        name: `panels, ${size.join('×')}${tb ? ' Bᵀ' : ''}`,
        variants: panels,
      }),
    ),
  ),
  {
    op: 'matmul',
    name: 'panels, bias, gelu, dropout and residual over two of them',
    inputs: { a: { shape: [35, 72] }, b: { shape: [72, 40] }, bias: { shape: [40] }, residual: { shape: [35, 40] } },
    run: (t) => matmul(t.a, t.b, { bias: t.bias, residual: t.residual, dropout: 0.25, activation: 'gelu' }),
    tolerance: bound(128),
    variants: panels,
  },
  {
    op: 'matmul',
    name: 'panels, a batch of 3',
    inputs: { a: { shape: [3, 20, 72] }, b: { shape: [3, 72, 12] } },
    run: ({ a, b }) => matmul(a, b),
    tolerance: bound(72),
    variants: panels,
  },
  {
    op: 'matmul',
    name: 'panels, added to what is there',
    inputs: { a: { shape: [40, 72] }, b: { shape: [72, 72] } },
    // The gradient of a comes twice, each time over two panels.
    run: ({ a, b }) => [matmul(a, b), matmul(a, b, { transB: true })],
    tolerance: { abs: 1e-4, rel: 1e-4 },
    variants: panels,
  },
  // A case for each size of tile, whole and split, since compiling one takes seconds.
  ...tiles.map((tile) => ({
    ...plain([100, 20, 132], false, false),
    name: tile,
    variants: { matmul: [tile], matmul_part: [tile] },
  })),
  plain([0, 4, 8], false, false),
  ...(['none', 'relu', 'gelu', 'silu'] as const).map(
    (activation): Case => ({
      op: 'matmul',
      name: `bias and ${activation}`,
      inputs: { a: { shape: [35, 24] }, b: { shape: [24, 40] }, bias: { shape: [40] } },
      run: ({ a, b, bias }) => matmul(a, b, { bias, activation }),
      tolerance: bound(48),
      variants: activation === 'gelu' ? withWide : MATMUL_VARIANTS,
    }),
  ),
  // The second product's backward goes through the activation; other uses of its value add to the same gradient.
  ...(['relu', 'silu'] as const).map(
    (activation): Case => ({
      op: 'matmul',
      name: `a product of ${activation}, used three times`,
      inputs: { a: { shape: [35, 24] }, b: { shape: [24, 40] }, d: { shape: [40, 12] }, e: { shape: [40, 8] } },
      run: ({ a, b, d, e }) => {
        const hidden = matmul(a, b, { activation });
        return [matmul(hidden, d), mul(hidden, hidden), matmul(hidden, e)];
      },
      tolerance: { abs: 1e-4, rel: 1e-4 },
      // Each variant once: these compile for long.
      variants: { matmul: activation === 'silu' ? ['matmul_sg8_wide', 'matmul_sg8'] : ['matmul_tile', TALL] },
    }),
  ),
  ...epilogues,
  ...mixedCases,
  {
    op: 'matmul',
    name: 'bias with Bᵀ',
    inputs: { a: { shape: [35, 24] }, b: { shape: [40, 24] }, bias: { shape: [40] } },
    run: ({ a, b, bias }) => matmul(a, b, { bias, transB: true }),
    tolerance: bound(48),
    variants: MATMUL_VARIANTS,
  },
  {
    op: 'matmul',
    name: 'shared b over leading axes',
    inputs: { a: { shape: [3, 5, 8] }, b: { shape: [8, 12] } },
    run: ({ a, b }) => matmul(a, b),
    tolerance: bound(16),
    variants: MATMUL_VARIANTS,
  },
  ...flags.flatMap((ta) =>
    flags.map(
      (tb): Case => ({
        op: 'matmul',
        name: `batch of 3${ta ? ' Aᵀ' : ''}${tb ? ' Bᵀ' : ''}`,
        inputs: { a: { shape: ta ? [3, 8, 20] : [3, 20, 8] }, b: { shape: tb ? [3, 12, 8] : [3, 8, 12] } },
        run: ({ a, b }) => matmul(a, b, { transA: ta, transB: tb }),
        tolerance: bound(20),
        variants: MATMUL_VARIANTS,
      }),
    ),
  ),
  {
    op: 'matmul',
    name: 'a tensor used twice accumulates',
    inputs: { a: { shape: [20, 20] } },
    run: ({ a }: Record<string, Tensor>) => matmul(matmul(a, a), a),
    tolerance: { abs: 3e-4, rel: 1e-4 },
    variants: MATMUL_VARIANTS,
  },
];
