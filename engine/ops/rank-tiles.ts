/**
 * Ranks and the k best of rows of scores that are too long for one buffer: tile by tile of columns, merged on the
 * device. A target's rank is counted against the score that its own tile gave it, so the tiles are made twice: once for
 * the k best and the targets' scores, once to count.
 */
import { groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { rankCountReference, rankTargetReference, topkMergeReference } from './rank-tiles.ref.ts';
import { expectType } from './shared/check.ts';
import { topk } from './topk.ts';

const TARGET = kernel('rank_target', (p) => groups(p.rows, 64));
const COUNT = kernel('rank_count', (p) => p.rows);
const MERGE = kernel('topk_merge', (p) => p.rows);

/**
 * What `rankOf` and `topk` give for scores [R, V] whose columns [from, to) `scores` makes anew, the same every time.
 * @param width columns of a tile @param targets u32 [R]; a number ≥ V stands for none
 */
export function rankTiles(
  scores: (from: number, to: number) => Tensor,
  v: number,
  width: number,
  targets: Tensor,
  k: number,
): { ranks: Tensor; values: Tensor; indices: Tensor } {
  if (!Number.isInteger(width) || width < 1)
    throw new Error(`rankTiles: expected a tile of an integer >= 1 of columns, got ${width}`);
  const { device } = targets;
  const rows = targets.size;
  const targetScores = device.empty([rows], 'f32', 'target scores');
  const counts = device.empty([rows, 2], 'u32', 'counts');
  const ranks = device.empty([rows], 'u32', 'ranks');
  const starts = Array.from({ length: Math.ceil(v / width) }, (_, i) => i * width);
  const tile = (from: number): Tensor => scores(from, Math.min(v, from + width));
  let best: { values: Tensor; indices: Tensor } | null = null;
  for (const first of starts) {
    const part = tile(first);
    expectType('rankTiles', 'scores', part);
    const params = { rows, v: part.shape[1], first, start: first === 0 ? 1 : 0 };
    device.run(TARGET, rankTargetReference, { scores: part, targets, target_scores: targetScores }, params);
    const more = topk(part, k, { targets, first });
    best = best ? merge(best, more, targets) : more;
    part.dispose(); // an eager run holds one tile, too
  }
  for (const first of starts) {
    const part = tile(first);
    const params = { rows, v: part.shape[1], start: first === 0 ? 1 : 0, finish: first + width >= v ? 1 : 0 };
    device.run(COUNT, rankCountReference, { scores: part, target_scores: targetScores, counts, ranks }, params);
    part.dispose();
  }
  if (!best) throw new Error('rankTiles: expected scores of at least one item, got none');
  return { ranks, ...best };
}

function merge(
  best: { values: Tensor; indices: Tensor },
  more: { values: Tensor; indices: Tensor },
  targets: Tensor,
): { values: Tensor; indices: Tensor } {
  const { device, shape } = best.values;
  const values = device.empty(shape, 'f32', 'topk values');
  const indices = device.empty(shape, 'u32', 'topk indices');
  const tensors = { ...best, more_values: more.values, more_indices: more.indices, targets };
  device.run(
    MERGE,
    topkMergeReference,
    { ...tensors, out_values: values, out_indices: indices },
    { rows: shape[0], k: shape[1], has_targets: 1 },
  );
  return { values, indices };
}
