/**
 * Softmax cross-entropy over the whole catalog without the [L, V] logits: blocks of rows (and, for large
 * catalogs, of columns) go through one buffer of bounded size.
 *
 * Where a block is as wide as the catalog, the gradient is formed in the forward pass while the block's logits are at
 * hand (as in Liger Kernel's fused linear cross-entropy): three matrix products instead of four. A wider catalog, or
 * one in shards, has its blocks computed again in the backward pass, straight into the gradients, so that nothing of
 * the table's size is held besides.
 */
import { gradOf, into, intoParts } from '../autograd.ts';
import type { Device } from '../device.ts';
import { groups, kernel, lanes4, lanes8, type Params, software, subgroupVariants } from '../kernel.ts';
import { blocksOf, shardsOf, type Table, type TableBlock } from '../table.ts';
import { showShape, type Tensor } from '../tensor.ts';
import {
  crossEntropyForward,
  gradReference,
  lossReference,
  scaleByForward,
  statsReference,
} from './cross-entropy.ref.ts';
import { expectConstants, expectType } from './shared/check.ts';
import { fill } from './fill.ts';
import { evenWeights } from './shared/even-weights.ts';
import { gemm } from './shared/gemm.ts';
import { sumAll } from './shared/sums.ts';

const STATS = kernel(
  'ce_stats',
  [
    { file: 'ce_stats_sg8', requires: lanes8, grid: (p) => p.r },
    { file: 'ce_stats_row', requires: software, suits: lanes4, grid: (p) => groups(p.r, 16) },
    ...subgroupVariants(
      'ce_stats_sub',
      (p) => p.r,
      (p) => p.cols / 4,
    ),
    { file: 'ce_stats', grid: (p) => p.r },
  ],
  { sizes: ['r', 'cols'] },
);
const GRAD = kernel('ce_grad', [
  { file: 'ce_grad', tuning: { W: 8 }, requires: lanes8, grid: (p) => p.r },
  { file: 'ce_grad', grid: (p) => p.r },
]);
const lossParts = (p: Params): number => Math.max(1, groups(p.l, p.per));
const LOSS = kernel('ce_loss', [
  { file: 'ce_loss_sg8', requires: lanes8, grid: lossParts },
  { file: 'ce_loss', grid: lossParts },
]);
const SCALE_BY = kernel('scale_by', (p) => Math.ceil(p.n / 1024));

/** Elements of the block buffer (16 MiB), and the widest catalog that is taken in one block of columns. */
const BLOCK_ELEMENTS = 4 * 2 ** 20;
const BLOCK_ROWS = 1024;
/** Rows whose losses one group adds up. */
const LOSS_ROWS = 512;
const ONE_BLOCK_WIDTH = 32768;

export interface CrossEntropyOptions {
  /** ε of label smoothing: the target counts 1 − ε, and ε is spread over all V items (Szegedy et al. 2016, §7). */
  labelSmoothing?: number;
  /** Elements of the largest block of logits; for tests. */
  blockElements?: number;
  /** The widest catalog that is taken in one block of columns; for tests. */
  oneBlockWidth?: number;
}

/** Rows and columns of a block: rows a multiple of 64, so that views of rows are aligned. */
export function blockShape(
  l: number,
  v: number,
  options: CrossEntropyOptions = {},
  maxBindingBytes = Number.POSITIVE_INFINITY,
): { rows: number; cols: number } {
  const elements = Math.min(options.blockElements ?? BLOCK_ELEMENTS, maxBindingBytes / 4);
  const width = Math.min(options.oneBlockWidth ?? ONE_BLOCK_WIDTH, Math.floor(maxBindingBytes / 1024) * 4);
  const cols = v <= width ? v : Math.max(64, Math.floor(elements / BLOCK_ROWS / 64) * 64);
  const most = Math.max(64, Math.floor(elements / cols / 64) * 64);
  const count = Math.max(1, Math.ceil(l / most));
  return { rows: Math.max(64, Math.ceil(l / count / 64) * 64), cols };
}

/**
 * Σᵢ weightsᵢ · CE(x · tableᵀ, targetᵢ), a scalar; with label smoothing ε the target's probability is 1 − ε + ε/V. Rows of weight 0 cost nothing in the loss and get no gradient.
 *
 * @param x [L, D] @param table [V, D], whole or in shards @param targets u32 [L]; one that is not below V makes the loss NaN, unless its weight is 0 @param given weights f32 [L]; without them every row has 1/L, and the loss is the mean
 */
export function crossEntropy(
  x: Tensor,
  table: Table,
  targets: Tensor,
  given?: Tensor | null,
  options: CrossEntropyOptions = {},
): Tensor {
  const { device } = x;
  const weights = given ?? evenWeights(x.device, x.shape[0] ?? 0);
  for (const t of [x, targets, weights]) device.alive(t, 'crossEntropy');
  expectType('crossEntropy', 'x', x);
  for (const { tensor } of shardsOf(table)) expectType('crossEntropy', 'table', tensor);
  const [l, d] = x.shape;
  const [v, dTable] = table.shape;
  if (x.rank !== 2 || table.rank !== 2 || d !== dTable || d === 0 || v === 0) {
    throw new Error(
      `crossEntropy: expected x [L,D] and table [V,D] with D and V >= 1, got ${showShape(x.shape)} and ${showShape(table.shape)}`,
    );
  }
  if (targets.size !== l || targets.dtype !== 'u32' || weights.size !== l || weights.dtype !== 'f32') {
    throw new Error(
      `crossEntropy: expected targets u32 [${l}] and weights f32 [${l}], got ${targets.dtype}${showShape(targets.shape)} and ${weights.dtype}${showShape(weights.shape)}`,
    );
  }
  expectConstants('crossEntropy', { weights });
  const { labelSmoothing: smooth_by = 0 } = options;
  if (!(smooth_by >= 0 && smooth_by < 1))
    throw new Error(`crossEntropy: expected a label smoothing in [0, 1), got ${smooth_by}`);
  const smoothing = { smooth_by, even: smooth_by / v };
  const loss = device.empty([1], 'f32', 'loss');
  const block = blockShape(l, v, options, device.maxBindingBytes);
  const shards = shardsOf(table);
  const whole = shards.length === 1 && (!device.gpu || block.cols >= v);
  if (whole) atOnce(device, { x, table: shards[0].tensor, targets, weights, loss, smoothing }, block.rows);
  else inBlocks(device, { x, table, targets, weights, loss, smoothing }, block);
  return loss;
}

interface Work {
  x: Tensor;
  table: Table;
  targets: Tensor;
  weights: Tensor;
  loss: Tensor;
  smoothing: { smooth_by: number; even: number };
}

/** What the kernels read of a block of rows, as views. */
interface Rows {
  /** First row, and how many. */
  r0: number;
  r: number;
  x: Tensor;
  targets: Tensor;
  weights: Tensor;
  stats: Tensor;
  smoothing: Work['smoothing'];
}

function* rowBlocks(w: Work, stats: Tensor, most: number): Generator<Rows> {
  const [l] = w.x.shape;
  for (let r0 = 0; r0 < l; r0 += most) {
    const r = Math.min(most, l - r0);
    const cut = (t: Tensor): Tensor => t.detach().rows(r0, r0 + r);
    yield {
      r0,
      r,
      x: cut(w.x),
      targets: cut(w.targets),
      weights: cut(w.weights),
      stats: cut(stats),
      smoothing: w.smoothing,
    };
  }
}

/** The row stride of a block of logits. */
const stride = (block: TableBlock): number => Math.ceil(block.rows / 4) * 4;

/** logits [r, stride] = x · the block's rowsᵀ */
function product(device: Device, { r, x }: Rows, block: TableBlock): Tensor {
  const { shard, at, rows } = block;
  const ldc = stride(block);
  const logits = device.empty([r, ldc], 'f32', 'logits');
  gemm(device, {
    a: x,
    b: shard.detach().rows(at, at + rows),
    c: logits,
    m: r,
    n: rows,
    k: x.shape[1],
    transB: true,
    ldc,
  });
  return logits;
}

/** loss = the weighted sum over the rows: parts of so many rows each, then the parts, always in the same order. */
function sumLosses(device: Device, stats: Tensor, { weights, loss, smoothing }: Work): void {
  const l = weights.size;
  const parts = groups(l, LOSS_ROWS);
  if (parts <= 2) {
    device.run(LOSS, lossReference, { stats, weights, loss }, { l, per: Math.max(1, l), ...smoothing });
    return;
  }
  const partial = device.empty([parts], 'f32', 'losses of parts');
  device.run(LOSS, lossReference, { stats, weights, loss: partial }, { l, per: LOSS_ROWS, ...smoothing });
  sumAll(partial, loss, 1, 0);
}

function merge(device: Device, rows: Rows, block: TableBlock, logits: Tensor): void {
  const { r, targets, weights, stats } = rows;
  const params = { r, cols: block.rows, ld: stride(block), col0: block.first, first: block.first === 0 ? 1 : 0 };
  device.run(STATS, statsReference, { logits, targets, weights, stats }, params);
}

/** dx [+]= g · the block's rows and its rows' gradient [+]= gᵀ · x, with g from the logits, in place. */
function gradients(
  device: Device,
  rows: Rows,
  block: TableBlock,
  logits: Tensor,
  dx: { grad: Tensor; acc: number } | null,
  dtable: { grad: Tensor; acc: number } | null,
): void {
  const { r0, r, x, targets, weights, stats, smoothing } = rows;
  const { shard, at, rows: cols, first: col0 } = block;
  const d = x.shape[1];
  const lda = stride(block);
  device.run(GRAD, gradReference, { logits, targets, weights, stats }, { r, cols, ld: lda, col0, ...smoothing });
  if (dx) {
    const [b, c, acc] = [shard.detach().rows(at, at + cols), dx.grad.rows(r0, r0 + r), col0 > 0 ? 1 : dx.acc];
    gemm(device, { a: logits, gradient: 'a', b, c, m: r, n: d, k: cols, lda, acc, padded: true });
  }
  if (dtable) {
    const [c, acc] = [dtable.grad.rows(at, at + cols), r0 > 0 ? 1 : dtable.acc];
    gemm(device, { a: logits, gradient: 'a', b: x, c, m: cols, n: d, k: r, transA: true, lda, acc });
  }
}

/** A block of rows spans the catalog: loss and gradient in one pass (on the CPU device through the reference). */
function atOnce(device: Device, w: Work & { table: Tensor }, rowsOfBlock: number): void {
  const { x, table, targets, weights, loss } = w;
  const [l, d] = x.shape;
  const [v] = table.shape;
  const grad = device.tape.enabled && (x.requiresGrad || table.requiresGrad);
  const dx = grad ? device.empty(x.shape, 'f32', 'cross-entropy dx') : null;
  const dtable = grad ? device.empty(table.shape, 'f32', 'cross-entropy dtable') : null;
  if (device.gpu) {
    const stats = device.empty([l, 4], 'f32', 'cross-entropy stats');
    const block = { shard: table, at: 0, first: 0, rows: v };
    for (const rows of rowBlocks(w, stats, rowsOfBlock)) {
      const logits = product(device, rows, block);
      merge(device, rows, block, logits);
      if (dx && dtable) gradients(device, rows, block, logits, { grad: dx, acc: 0 }, { grad: dtable, acc: 0 });
      logits.dispose();
    }
    if (dtable && l === 0) fill(dtable, 0); // no block wrote it
    sumLosses(device, stats, w);
  } else {
    const work = { x, table, targets, weights, loss, dx, dtable };
    const params = { l, d, v, grad: grad ? 1 : 0, ...w.smoothing };
    device.runReference('crossEntropy', crossEntropyForward, work, ['loss', 'dx', 'dtable'], params);
  }
  device.tape.record([x, table], loss, () => {
    for (const [input, g] of [
      [x, dx],
      [table, dtable],
    ] as const) {
      if (!input.requiresGrad || !g) continue;
      const { grad: y, acc } = into(input);
      device.run(SCALE_BY, scaleByForward, { x: g, s: gradOf(loss), y }, { n: g.size, acc });
    }
  });
}

/** Blocks of rows and columns, merged through the rows' statistics; computed again in the backward pass. */
function inBlocks(device: Device, w: Work, size: { rows: number; cols: number }): void {
  const { x, table, weights, loss } = w;
  const [l] = x.shape;
  const stats = device.empty([l, 4], 'f32', 'cross-entropy stats');
  const blocks = blocksOf(table, size.cols);
  for (const rows of rowBlocks(w, stats, size.rows)) {
    for (const block of blocks) {
      const logits = product(device, rows, block);
      merge(device, rows, block, logits);
      logits.dispose(); // an eager run holds one block, too
    }
  }
  sumLosses(device, stats, w);
  const shards = shardsOf(table).map(({ tensor }) => tensor);
  device.tape.record([x, ...shards], loss, () => {
    // The weights take the upstream gradient along.
    const scaled = device.empty(weights.shape, 'f32', 'cross-entropy weights');
    device.run(SCALE_BY, scaleByForward, { x: weights, s: gradOf(loss), y: scaled }, { n: l, acc: 0 });
    const [dx, ...dshards] = intoParts([x, ...shards]);
    const dtable = new Map(shards.map((t, i) => [t, dshards[i]]));
    if (l === 0) for (const to of dshards) if (to && !to.acc) fill(to.grad, 0); // no block writes it
    for (const rows of rowBlocks({ ...w, weights: scaled }, stats, size.rows)) {
      for (const block of blocks) {
        const logits = product(device, rows, block);
        gradients(device, rows, block, logits, dx, dtable.get(block.shard) ?? null);
        logits.dispose();
      }
    }
  });
}
