/** Scores from sparse rows of a matrix, summed over lists of rows, and their blend with others. For inference. */
import { groups, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { logBlendReference, sparseScoresReference } from './sparse-scores.ref.ts';

const SPARSE_SCORES = kernel('sparse_scores', (p) => p.rows);
const LOG_BLEND = kernel('log_blend', (p) => groups(p.rows * p.v, 256));

/** Rows [first, first + rows) of a sparse matrix: row r's entries stand at starts[r] to starts[r + 1]. */
export interface SparseShard {
  first: number;
  rows: number;
  /** u32 [rows + 1] */
  starts: Tensor;
  /** u32, distinct within a row */
  columns: Tensor;
  /** f32, as many */
  values: Tensor;
}

/** A list of weighted rows for each user: row `items[l]` counts `weights[l]`, l from offsets[u] to offsets[u + 1]. */
export interface RowLists {
  /** u32 [U + 1], not decreasing, ending within `items` */
  offsets: Tensor;
  /** u32 [capacity] */
  items: Tensor;
  /** f32 [capacity] */
  weights: Tensor;
  /** No list is longer. */
  longest: number;
}

/** Σ weights[l] · W[items[l], from … to − 1] for each user's list: [U, to − from]. No gradient. */
export function sparseScores(shards: readonly SparseShard[], lists: RowLists, from: number, to: number): Tensor {
  const { offsets, items, weights, longest } = lists;
  const { device } = offsets;
  if (offsets.dtype !== 'u32' || items.dtype !== 'u32' || weights.dtype !== 'f32' || items.size !== weights.size) {
    throw new Error(
      `sparseScores: u32 offsets and items, and as many f32 weights were expected, came ${offsets.dtype}, ${items.dtype} ${showShape(items.shape)}, ${weights.dtype} ${showShape(weights.shape)}`,
    );
  }
  if (!(from >= 0 && to > from)) throw new Error(`sparseScores: columns from below to were expected, came ${from} to ${to}`);
  if (shards.length === 0) throw new Error('sparseScores: at least one shard of rows was expected, came none');
  const rows = offsets.size - 1;
  const v = to - from;
  const out = device.empty([rows, v], 'f32', 'sparse scores');
  shards.forEach(({ first, rows: count, starts, columns, values }, i) => {
    device.run(
      SPARSE_SCORES,
      sparseScoresReference,
      { starts, columns, values, offsets, items, weights, out },
      { rows, v, first: from, row_first: first, row_count: count, longest, start: i === 0 ? 1 : 0 },
    );
  });
  return out;
}

/**
 * scores = a·scores + b·log(max(more, 0) + ε), in place, for scores and more [U, V] and (a, b, ε, unused) = weights[u],
 * f32 [U, 4], ε > 0. No gradient.
 */
export function logBlend(scores: Tensor, more: Tensor, weights: Tensor): void {
  const [rows, v] = scores.shape;
  if (scores.rank !== 2 || more.rank !== 2 || more.shape[0] !== rows || more.shape[1] !== v || weights.size !== 4 * rows) {
    throw new Error(
      `logBlend: scores and more [U,V] and weights [U,4] were expected, came ${showShape(scores.shape)}, ${showShape(more.shape)} and ${showShape(weights.shape)}`,
    );
  }
  if (scores.requiresGrad && scores.device.tape.enabled)
    throw new Error('logBlend: it changes scores in place, which cannot be differentiated; use noGrad');
  scores.device.run(LOG_BLEND, logBlendReference, { more, weights, scores }, { rows, v });
}
