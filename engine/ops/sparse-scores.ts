/** Scores from sparse rows of a matrix, summed over lists of rows, and their blend with others. For inference. */
import { groups, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { expectConstants, expectTypes } from './shared/check.ts';
import { logBlendReference, rowMomentsReference, sparseScoresReference } from './sparse-scores.ref.ts';

const SPARSE_SCORES = kernel('sparse_scores', (p) => p.rows);
const ROW_MOMENTS = kernel('row_moments', (p) => p.rows);
const LOG_BLEND = kernel('log_blend', (p) => groups(p.rows * p.v, 256));

/** Rows [first, first + rows) of a sparse matrix: the entries of row r are those from starts[r] to starts[r + 1]. */
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
  /** No list is longer. One that is, or that is out of range, gives NaN for all of its user's scores. */
  longest: number;
}

/** Σ weights[l] · W[items[l], from … to − 1] for each user's list: [U, to − from]. No gradient. */
export function sparseScores(shards: readonly SparseShard[], lists: RowLists, from: number, to: number): Tensor {
  const { offsets, items, weights, longest } = lists;
  const { device } = offsets;
  if (offsets.dtype !== 'u32' || items.dtype !== 'u32' || weights.dtype !== 'f32' || items.size !== weights.size) {
    throw new Error(
      `sparseScores: expected u32 offsets and items and as many f32 weights, got ${offsets.dtype}, ${items.dtype} ${showShape(items.shape)}, ${weights.dtype} ${showShape(weights.shape)}`,
    );
  }
  if (!(from >= 0 && to > from)) throw new Error(`sparseScores: expected a range of columns, got ${from} to ${to}`);
  if (shards.length === 0) throw new Error('sparseScores: expected at least one shard of rows, got none');
  for (const { rows, starts, columns, values } of shards) {
    expectConstants('sparseScores', { values, weights });
    const types = `${starts.dtype},${columns.dtype},${values.dtype}` === 'u32,u32,f32';
    if (!types || starts.size !== rows + 1 || columns.size !== values.size) {
      throw new Error(
        `sparseScores: expected u32 starts [${rows + 1}] and as many u32 columns as f32 values, got ${starts.dtype} ${showShape(starts.shape)}, ${columns.dtype} ${showShape(columns.shape)}, ${values.dtype} ${showShape(values.shape)}`,
      );
    }
  }
  const rows = offsets.size - 1;
  const v = to - from;
  const out = device.empty([rows, v], 'f32', 'sparse scores');
  const common = { rows, v, first: from, longest, capacity: items.size };
  shards.forEach(({ first, rows: count, starts, columns, values }, i) => {
    device.run(
      SPARSE_SCORES,
      sparseScoresReference,
      { starts, columns, values, offsets, items, weights, out },
      { ...common, row_first: first, row_count: count, entries: columns.size, start: i === 0 ? 1 : 0 },
    );
  });
  return out;
}

/**
 * Of each row of scores [U, V], what its standard deviation takes: [U, 4]. Rows that come in tiles of columns are added
 * up by handing on what the tiles before gave. No gradient.
 */
export function rowMoments(scores: Tensor, before: Tensor | null = null): Tensor {
  const { device } = scores;
  expectTypes('rowMoments', { scores, before });
  if (scores.rank !== 2 || scores.shape[1] === 0)
    throw new Error(`rowMoments: expected scores [U,V] with V ≥ 1, got ${showShape(scores.shape)}`);
  expectConstants('rowMoments', { scores });
  const [rows, v] = scores.shape;
  if (before) device.inPlace('rowMoments', before);
  const moments = before ?? device.empty([rows, 4], 'f32', 'moments');
  device.run(ROW_MOMENTS, rowMomentsReference, { scores, moments }, { rows, v, start: before ? 0 : 1 });
  return moments;
}

/**
 * scores = scores / σ + b·log(max(more, 0) + ε), in place, for scores and more [U, V]. σ [U] follows from the rows'
 * moments (see {@link rowMoments}); weights f32 [2] hold b and ε > 0. No gradient.
 * @param keepScale give σ times that: the same order, and scores that keep their scale, as a softmax over them needs it
 */
export function logBlend(scores: Tensor, more: Tensor, moments: Tensor, weights: Tensor, keepScale = false): void {
  const [rows, v] = scores.shape;
  expectTypes('logBlend', { scores, more, moments, weights });
  const fits = scores.rank === 2 && more.rank === 2 && more.shape[0] === rows && more.shape[1] === v;
  if (!fits || moments.size !== 4 * rows || weights.size !== 2) {
    throw new Error(
      `logBlend: expected scores and more [U,V], moments [U,4] and weights [2], got ${showShape(scores.shape)}, ${showShape(more.shape)}, ${showShape(moments.shape)} and ${showShape(weights.shape)}`,
    );
  }
  expectConstants('logBlend', { scores, more, moments, weights }, 'it changes scores in place: use noGrad()');
  scores.device.inPlace('logBlend', scores);
  scores.device.run(
    LOG_BLEND,
    logBlendReference,
    { more, moments, weights, scores },
    { rows, v, keep: Number(keepScale) },
  );
}
