/** The matrix product's kernels, which of them runs, and products split along K; without shapes checked or gradients. */
import type { Device } from '../../device.ts';
import {
  type Capabilities,
  type Grid,
  groups,
  type Kernel,
  kernel,
  lanes4,
  lanes8,
  MAX_GRID,
  type Params,
  type ShapeClass,
  software,
  type Variant,
} from '../../kernel.ts';
import type { Tensor } from '../../tensor.ts';
import { ACTIVATIONS, FLAG, matmulForward, matmulParts, matmulSplitSum } from '../matmul.ref.ts';
import { expectOneOf } from './check.ts';
import { transposeInto } from '../transpose.ts';
import { sumLeading } from './sums.ts';

/** Tiles of rows × cols: as many workgroups along N, M and the batch, or a plain count where one of them passes a grid's limit. */
function tiled(rows: number, cols: number): Pick<Variant, 'grid' | 'constants'> {
  return {
    grid: (p) => tiledGrid(p, rows, cols),
    constants: (p) => ({
      TRANS_A: p.transA === 1,
      TRANS_B: p.transB === 1,
      ACT: p.act,
      FLAGS: p.flags,
      ...(isFolded(p, rows, cols) ? { FOLDED: true } : null),
    }),
  };
}
const isFolded = (p: Params, rows: number, cols: number): boolean =>
  Math.max(groups(p.n, cols), groups(p.m, rows), p.batch) > MAX_GRID;
const tiledGrid = (p: Params, rows: number, cols: number): number | Grid =>
  isFolded(p, rows, cols) ? tiles(p, rows, cols) : [groups(p.n, cols), groups(p.m, rows), p.batch];
const wide = (p: Params): boolean => [p.lda, p.ldb, p.ldc, p.sa, p.sb, p.sc].every((n) => n % 4 === 0);

/** Workgroups of a product in tiles. */
const tiles = (p: Params, rows: number, cols: number): number => groups(p.m, rows) * groups(p.n, cols) * p.batch;

/**
 * One size of tile for GPUs: BM × BN × BK a workgroup, TM × TN a thread. Without a measurement a tile is taken where it
 * gives at least `enough` workgroups. Unmeasured on a GPU.
 */
function tile(BM: number, BN: number, BK: number, TM: number, TN: number, enough: number): Variant {
  return {
    file: 'matmul_gpu',
    tuning: { BM, BN, BK, TM, TN },
    requires: (c) =>
      c.maxInvocations >= (BM / TM) * (BN / TN) && c.maxWorkgroupBytes >= 16 * BK * (BM / 4 + BN / 4 + 2),
    accepts: wide,
    suits: (c, p) => !software(c) && tiles(p, BM, BN) >= enough,
    ...tiled(BM, BN),
  };
}

/** The same tile in f16, for precision=mixed. Unmeasured on a GPU. */
function half({ file, tuning, requires, ...same }: Variant): Variant {
  const { BM, BN, BK } = tuning as Record<string, number>;
  const bytes = 8 * BK * (BM / 4 + BN / 4 + 2);
  return {
    ...same,
    file: `${file}_f16`,
    tuning,
    requires: (c) =>
      c.f16 && c.maxWorkgroupBytes >= bytes && (requires?.({ ...c, maxWorkgroupBytes: 2 * bytes }) ?? true),
  };
}

/**
 * Subgroup matrices of SM × SN × SK in tiles of BM × BN, WM × WN of them a subgroup of 32 lanes; small enough for 16 KiB
 * of workgroup memory. Unmeasured.
 */
function matrix(
  [SM, SN, SK]: readonly number[],
  { BM, BN, BK, WM, WN }: Record<'BM' | 'BN' | 'BK' | 'WM' | 'WN', number>,
  enough: number,
): Variant {
  const subgroups = (BM / WM) * (BN / WN);
  return {
    file: 'matmul_matrix',
    tuning: { BM, BN, BK, WM, WN, SM, SN, SK },
    requires: (c) =>
      c.f16 &&
      c.subgroupMin === 32 &&
      c.subgroupMax === 32 &&
      c.matrices.some(({ m, n, k }) => m === SM && n === SN && k === SK) &&
      c.maxInvocations >= 32 * subgroups &&
      c.maxWorkgroupBytes >= 2 * BK * (BM + BN + 16) + 4 * SM * SN * subgroups,
    accepts: wide,
    suits: (_, p) => tiles(p, BM, BN) >= enough,
    ...tiled(BM, BN),
  };
}

const TILES: readonly Variant[] = [
  tile(128, 128, 8, 8, 8, 512),
  tile(128, 64, 16, 8, 8, 256),
  tile(64, 64, 16, 8, 8, 256),
  tile(64, 64, 16, 8, 4, 128),
  tile(64, 64, 16, 4, 4, 64),
  tile(32, 32, 16, 4, 4, 0),
];
/** Products that a kernel for 8-lane subgroups can take. */
const takes = (p: Params): boolean =>
  // K must divide by 4, or the side with contiguous k must be padded with zeros; with TRANS_A the kernel clears the tail.
  wide(p) && !(p.transA && p.transB) && (p.k % 4 === 0 || p.padded === 1 || (p.transA === 1 && p.transB === 0));

const SHAPE: ShapeClass = { sizes: ['m', 'n', 'k', 'batch'], flags: ['transA', 'transB', 'act', 'flags'] };

/** What a panel's epilogue does. Sums start from the bias, and from C where nothing but adding comes after: no kernels of their own. */
function panelFlags({ flags, act }: Params): number {
  const rest = flags & ~FLAG.BIAS;
  return act === 0 && rest === FLAG.ADD ? 0 : rest;
}

/** A panel of B for subgroups of exactly so many lanes, which only adapters that compute on the CPU have. */
function panel(LANES: number): Variant {
  return {
    file: 'matmul_panel',
    tuning: { LANES },
    requires: (c) => c.subgroups && c.subgroupMin === LANES && c.subgroupMax === LANES,
    accepts: (p) => takes(p) && p.k > 0 && p.transA === 0 && !((panelFlags(p) & FLAG.ADD) !== 0 && p.k > 64),
    // Beside the kernels for 8 lanes a panel pays where many rows walk past it, and where k fills it.
    suits: (_, p) => LANES !== 8 || (p.rows >= 64 && p.k > 0.75 * 64 * groups(p.k, 64)),
    grid: (p) => tiledGrid(p, p.rows, 8 * LANES),
    constants: (p) => ({
      TRANS_B: p.transB === 1,
      ACT: p.act,
      FLAGS: panelFlags(p),
      ...(isFolded(p, p.rows, 8 * LANES) ? { FOLDED: true } : null),
    }),
  };
}

/**
 * Rows that go past a panel: many, but a few panels for each of several cores; fewer where K is long, since each of its
 * panels is filled again for every group of rows (1,024 × 64 × 3,416: 1.15 times as fast as with half the rows).
 */
const panelRows = (m: number, n: number, k: number, batch: number): number => {
  const others = groups(n, 64) * batch;
  return Math.max(32, Math.min(1024, Math.ceil(m / Math.ceil((k > 64 ? 8 : 16) / others) / 16) * 16));
};

/** Most rows of A that go past B in one pass. */
const FEW = 4;

/** A row of B a thread. Unmeasured on a GPU. */
const few: Variant = {
  file: 'matmul_few',
  accepts: (p) =>
    p.m <= FEW &&
    p.transA === 0 &&
    p.transB === 1 &&
    p.batch === 1 &&
    p.flags === 0 &&
    p.act === 0 &&
    wide({ ...p, ldc: 0 }) &&
    p.k % 4 === 0,
  suits: software,
  grid: (p) => groups(p.n, 64),
  constants: (p) => ({ ROWS: p.m }),
};

const MATMUL: Kernel = kernel(
  'matmul',
  [
    few,
    panel(8),
    panel(4),
    panel(16),
    {
      // Takes longer to compile and leaves more of a small product unused: for products that give every core a few tiles.
      file: 'matmul_sg8_wide',
      requires: lanes8,
      accepts: takes,
      suits: (_, p) => p.n > 32 && tiles(p, 32, 64) >= 8,
      ...tiled(32, 64),
    },
    {
      file: 'matmul_sg8',
      requires: lanes8,
      accepts: takes,
      ...tiled(16, 32),
    },
    ...TILES,
    { file: 'matmul_tile', ...tiled(64, 64) },
  ],
  SHAPE,
);
/** The parts of a product that is split along K; forcing one of these forces the split (tests). */
const PARTS = kernel('matmul_part', TILES, SHAPE);
const SPLIT_SUM = kernel('matmul_split_sum', (p) => groups(p.m * p.ld, 256));

/** Products in mixed precision: subgroup matrices where the adapter has them, else tiles in f16. */
const MIXED: readonly Variant[] = [
  ...[
    [16, 16, 16],
    [16, 8, 16],
    [8, 16, 16],
  ].flatMap((size) => [
    matrix(size, { BM: 128, BN: 128, BK: 16, WM: 64, WN: 64 }, 256),
    matrix(size, { BM: 64, BN: 64, BK: 32, WM: 32, WN: 32 }, 0),
  ]),
  ...TILES.map(half),
];
const MATMUL_MIXED = kernel('matmul_mixed', MIXED, SHAPE);
const PARTS_MIXED = kernel('matmul_mixed_part', MIXED, SHAPE);

/** A product with fewer tiles of 64 × 64 than this leaves a GPU idle; split along K it makes about as many. */
const FULL = 128;
/** The least K of a part, and of a product that is split. */
const MIN_PART = 256;

/**
 * Elements of K in a part where C is small and K is long (weight gradients: the sum runs over all tokens), else 0. The
 * parts are products of a batch, each summed by itself, and added in a second pass.
 */
function partOf(caps: Capabilities, p: Params, always: boolean): number {
  const epilogue = p.flags & ~(FLAG.ADD | FLAG.COLUMN_SUMS) || p.act !== 0;
  if (
    epilogue ||
    ((p.flags & FLAG.COLUMN_SUMS) !== 0 && (p.transB === 1 || p.ldb !== p.n)) ||
    p.batch !== 1 ||
    p.lda % 4 !== 0 ||
    p.ldb % 4 !== 0
  )
    return 0;
  if (always) return p.k > 4 ? Math.ceil(p.k / 12) * 4 : 0;
  const count = Math.min(Math.floor(p.k / MIN_PART), Math.ceil(FULL / tiles(p, 64, 64)));
  return count < 2 || software(caps) ? 0 : Math.ceil(p.k / count / 16) * 16;
}

export type Activation = (typeof ACTIVATIONS)[number];

export interface Gemm {
  a: Tensor;
  b: Tensor;
  c: Tensor;
  m: number;
  n: number;
  k: number;
  transA?: boolean;
  transB?: boolean;
  /** Row strides in elements; by default those of contiguous matrices. */
  lda?: number;
  ldb?: number;
  ldc?: number;
  batch?: number;
  /** Batch strides in elements. */
  sa?: number;
  sb?: number;
  sc?: number;
  bias?: Tensor | null;
  /** Receives the values before the activation. */
  z?: Tensor | null;
  /** Receives, added, the column sums of B; only with transA and without transB, where the kernels go over B by rows. */
  columnSums?: Tensor | null;
  /** 1: add to C. */
  acc?: number;
  activation?: Activation;
  /** Laid out as C, added after the activation (and the dropout). */
  residual?: Tensor | null;
  /** Of `dropoutParams`; C is contiguous and overwritten then. */
  mask?: { op: number; threshold: number; scale: number } | null;
  /** [M, N] as C: the product is multiplied by the activation's slope there, and the activation itself is left out. */
  slopeAt?: Tensor;
  /** Which operand is a gradient; see `Device.withPrecision`. */
  gradient?: 'a' | 'b';
  /** In f32 whatever the device's precision. */
  exact?: boolean;
  /** K is not a multiple of 4, but the operand with contiguous k has zeros up to its row stride. */
  padded?: boolean;
}

/** C = residual + dropout(act(op(A)·op(B) + bias)) [+ C]. */
export function gemm(device: Device, g: Gemm): void {
  const { m, n, k } = g;
  if (g.columnSums && (!g.transA || g.transB || (g.batch ?? 1) !== 1))
    throw new Error('gemm: columnSums need transA, a B that is not transposed, and no batch');
  expectOneOf('matmul', 'activation', g.activation ?? 'none', ACTIVATIONS);
  if (m === 0 || n === 0 || (g.batch ?? 1) === 0) return;
  const params: Params = {
    m,
    n,
    k,
    lda: g.lda ?? (g.transA ? m : k),
    ldb: g.ldb ?? (g.transB ? k : n),
    ldc: g.ldc ?? n,
    batch: g.batch ?? 1,
    sa: g.sa ?? 0,
    sb: g.sb ?? 0,
    sc: g.sc ?? 0,
    flags:
      (g.bias ? FLAG.BIAS : 0) |
      (g.acc ? FLAG.ADD : 0) |
      (g.z ? FLAG.Z : 0) |
      (g.columnSums ? FLAG.COLUMN_SUMS : 0) |
      (g.slopeAt ? FLAG.SLOPE : 0) |
      (g.residual ? FLAG.RESIDUAL : 0) |
      (g.mask ? FLAG.DROPOUT : 0),
    act: ACTIVATIONS.indexOf(g.activation ?? 'none'),
    transA: g.transA ? 1 : 0,
    transB: g.transB ? 1 : 0,
    padded: g.padded ? 1 : 0,
    last: k,
    rows: panelRows(m, n, k, g.batch ?? 1),
    op: g.mask?.op ?? 0,
    threshold: g.mask?.threshold ?? 0,
    scale: g.mask?.scale ?? 1,
    ...scales(device, g.gradient),
  };
  const mixed = device.precision === 'mixed' && !g.exact && wide(params);
  const [whole, parts] = mixed ? [MATMUL_MIXED, PARTS_MIXED] : [MATMUL, PARTS];
  const forced = device.gpu?.variants.forced.has(parts.name) ?? false;
  const part = device.gpu ? partOf(device.gpu.caps, params, forced) : 0;
  if (part > 0) return inParts(device, parts, g, params, part);
  if (transposesFirst(device, g, params)) {
    const a = device.empty([m, k], 'f32', 'transposed operand');
    transposeInto(g.a, a, k, m);
    gemm(device, { ...g, a, transA: false, lda: k, columnSums: null });
    if (g.columnSums) sumLeading(g.b, k, n, g.columnSums, 1, 1);
    a.dispose();
    return;
  }
  const state = g.mask ? device.state : null;
  const tensors = {
    a: g.a,
    b: g.b,
    b_pairs: g.b,
    bias: g.bias ?? null,
    c: g.c,
    z: g.z ?? g.slopeAt ?? null,
    db: g.columnSums ?? null,
    residual: g.residual ?? null,
    state,
    db_or_state: g.columnSums ?? state,
  };
  device.run(whole, matmulForward, tensors, params);
}

/** Whether a copy of A, transposed, lets a panel run where else only the portable kernel would: it is 3 times as fast there. */
const transposesFirst = ({ gpu }: Device, g: Gemm, { m, k, lda, batch, transA, transB }: Params): boolean =>
  gpu !== null &&
  lanes4(gpu.caps) &&
  !gpu.variants.forced.has(MATMUL.name) &&
  transA === 1 &&
  transB === 0 &&
  batch === 1 &&
  lda === m &&
  k % 4 === 0 &&
  (g.ldb ?? g.n) === g.n;

/** What a part of a product does without. */
const NONE = { bias: null, z: null, db: null, residual: null, state: null, db_or_state: null };

/** What operands are multiplied by before f16 takes them, and the sums by afterwards. */
function scales({ gradientScale }: Device, gradient: Gemm['gradient']): Params {
  const unscale = gradient ? 1 / gradientScale : 1;
  return { scale_a: gradient === 'a' ? gradientScale : 1, scale_b: gradient === 'b' ? gradientScale : 1, unscale };
}

/** The product in parts of `part` along K, the last one shorter, and their sum; column sums come by themselves. */
function inParts(device: Device, parts: Kernel, g: Gemm, p: Params, part: number): void {
  const { m, n, k } = p;
  const count = groups(k, part);
  const ld = Math.ceil(n / 4) * 4;
  const out = device.empty([count, m, ld], 'f32', 'matmul parts');
  device.run(
    parts,
    matmulParts,
    { ...NONE, a: g.a, b: g.b, b_pairs: g.b, c: out },
    {
      ...p,
      k: part,
      last: k - (count - 1) * part,
      ldc: ld,
      batch: count,
      sa: part * (p.transA ? p.lda : 1),
      sb: part * (p.transB ? 1 : p.ldb),
      sc: m * ld,
      flags: 0,
    },
  );
  device.run(
    SPLIT_SUM,
    matmulSplitSum,
    { part: out, c: g.c },
    { s: count, m, n, ld, ldc: p.ldc, acc: p.flags & FLAG.ADD ? 1 : 0 },
  );
  if (g.columnSums) sumLeading(g.b, k, n, g.columnSums, 1, 1);
}
