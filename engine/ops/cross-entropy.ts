/**
 * Softmax cross-entropy over the whole catalogue without the [L, V] logits: blocks of rows (and, for large
 * catalogues, of columns) go through one buffer of bounded size. The gradient is formed in the forward pass while a
 * block of logits is at hand (as in Liger Kernel's fused linear cross-entropy), so that one-block-wide catalogues
 * need three matrix products instead of four.
 */
import { gradOf, into } from '../autograd.ts';
import type { Device } from '../device.ts';
import { type Capabilities, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { crossEntropyForward, onGpuOnly, scaleByForward } from './cross-entropy.ref.ts';
import { gemm } from './matmul.ts';

const lanes8 = (c: Capabilities): boolean => c.subgroups && c.subgroupMin === 8 && c.subgroupMax === 8;
const STATS = kernel('ce_stats', [
  { file: 'ce_stats_sg8', requires: lanes8, grid: (p) => p.r },
  { file: 'ce_stats', grid: (p) => p.r },
]);
const GRAD = kernel('ce_grad', [
  { file: 'ce_grad', requires: lanes8, grid: (p) => p.r, constants: () => ({ W: 8 }) },
  { file: 'ce_grad', grid: (p) => p.r },
]);
const LOSS = kernel('ce_loss', () => 1);
const SCALE_BY = kernel('scale_by', (p) => Math.ceil(p.n / 1024));

/** Elements of the block buffer (16 MiB), and the widest catalogue that is taken in one block of columns. */
const BLOCK_ELEMENTS = 4 * 2 ** 20;
const BLOCK_ROWS = 1024;
const ONE_BLOCK_WIDTH = 32768;

export interface CrossEntropyOptions {
  /** Elements of the largest block of logits; for tests. */
  blockElements?: number;
  /** The widest catalogue that is taken in one block of columns; for tests. */
  oneBlockWidth?: number;
}

/** Rows and columns of a block: rows a multiple of 64, so that views of rows are aligned. */
export function blockShape(l: number, v: number, options: CrossEntropyOptions = {}): { rows: number; cols: number } {
  const elements = options.blockElements ?? BLOCK_ELEMENTS;
  const width = options.oneBlockWidth ?? ONE_BLOCK_WIDTH;
  const cols = v <= width ? v : Math.max(64, Math.floor(elements / BLOCK_ROWS / 64) * 64);
  const most = Math.max(64, Math.floor(elements / cols / 64) * 64);
  const count = Math.max(1, Math.ceil(l / most));
  return { rows: Math.max(64, Math.ceil(l / count / 64) * 64), cols };
}

/**
 * Σᵢ weightsᵢ · CE(x · tableᵀ, targetᵢ), a scalar. Rows of weight 0 cost nothing in the loss and get no gradient.
 *
 * @param x [L, D] @param table [V, D] @param targets u32 [L], each below V @param weights f32 [L]
 */
export function crossEntropy(
  x: Tensor,
  table: Tensor,
  targets: Tensor,
  weights: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const { device } = x;
  const [l, d] = x.shape;
  const [v, dTable] = table.shape;
  if (x.rank !== 2 || table.rank !== 2 || d !== dTable) {
    throw new Error(
      `crossEntropy: x [L,D] and table [V,D] were expected, came ${showShape(x.shape)} and ${showShape(table.shape)}`,
    );
  }
  if (targets.size !== l || targets.dtype !== 'u32' || weights.size !== l || weights.dtype !== 'f32') {
    throw new Error(
      `crossEntropy: targets u32 [${l}] and weights f32 [${l}] were expected, came ${targets.dtype}${showShape(targets.shape)} and ${weights.dtype}${showShape(weights.shape)}`,
    );
  }
  const loss = device.empty([1], 'f32', 'loss');
  const grad = device.tape.enabled && (x.requiresGrad || table.requiresGrad);
  const dx = grad ? device.empty(x.shape, 'f32', 'cross-entropy dx') : null;
  const dtable = grad ? device.empty(table.shape, 'f32', 'cross-entropy dtable') : null;
  const work = { x, table, targets, weights, loss, dx, dtable };
  if (device.gpu) inBlocks(device, work, blockShape(l, v, options));
  else device.runReference(crossEntropyForward, work, { l, d, v, grad: grad ? 1 : 0 });
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
  return loss;
}

interface Work {
  x: Tensor;
  table: Tensor;
  targets: Tensor;
  weights: Tensor;
  loss: Tensor;
  dx: Tensor | null;
  dtable: Tensor | null;
}

function inBlocks(device: Device, w: Work, block: { rows: number; cols: number }): void {
  const [l, d] = w.x.shape;
  const v = w.table.shape[0];
  const stats = device.empty([l, 4], 'f32', 'cross-entropy stats');
  const oneBlock = block.cols >= v;
  for (let r0 = 0; r0 < l; r0 += block.rows) {
    const r = Math.min(block.rows, l - r0);
    const x = w.x.rows(r0, r0 + r);
    const rows = {
      targets: w.targets.rows(r0, r0 + r),
      weights: w.weights.rows(r0, r0 + r),
      stats: stats.rows(r0, r0 + r),
    };
    let logits: Tensor | null = null;
    const product = (c0: number, cols: number, ld: number): Tensor => {
      const out = device.empty([r, ld], 'f32', 'logits');
      gemm(device, { a: x, b: w.table.rows(c0, c0 + cols), c: out, m: r, n: cols, k: d, transB: true, ldc: ld });
      return out;
    };
    for (let c0 = 0; c0 < v; c0 += block.cols) {
      const cols = Math.min(block.cols, v - c0);
      const ld = Math.ceil(cols / 4) * 4;
      logits = product(c0, cols, ld);
      device.run(STATS, onGpuOnly, { logits, ...rows }, { r, cols, ld, col0: c0, first: c0 === 0 ? 1 : 0 });
    }
    if (!w.dx || !w.dtable) continue;
    const dx = w.dx.rows(r0, r0 + r);
    for (let c0 = 0; c0 < v; c0 += block.cols) {
      const cols = Math.min(block.cols, v - c0);
      const ld = Math.ceil(cols / 4) * 4;
      const g = oneBlock ? (logits as Tensor) : product(c0, cols, ld);
      device.run(GRAD, onGpuOnly, { logits: g, ...rows }, { r, cols, ld, col0: c0 });
      const table = w.table.rows(c0, c0 + cols);
      gemm(device, { a: g, b: table, c: dx, m: r, n: d, k: cols, lda: ld, acc: c0 === 0 ? 0 : 1, padded: true });
      gemm(device, {
        a: g,
        b: x,
        c: w.dtable.rows(c0, c0 + cols),
        m: cols,
        n: d,
        k: r,
        transA: true,
        lda: ld,
        acc: r0 === 0 ? 0 : 1,
      });
    }
  }
  device.run(LOSS, onGpuOnly, { stats, weights: w.weights, loss: w.loss }, { l });
}
