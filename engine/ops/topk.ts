/** Evaluation on the device: the k best of each row of scores, a target's rank, and masks for seen items. No gradients. */
import { kernel, type Params } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { maskSeenReference, rankOfReference, topkReference } from './topk.ref.ts';

/** Many rows fill a device with small workgroups; few rows want large ones. */
const wide = (p: Params): { WG: number } => ({ WG: p.rows >= 64 ? 64 : 256 });

const TOPK = kernel('topk', [{ file: 'topk', grid: (p) => p.rows, constants: wide }]);
const RANK_OF = kernel('rank_of', [{ file: 'rank_of', grid: (p) => p.rows, constants: wide }]);
const MASK_SEEN = kernel('mask_seen', (p) => p.rows);

/** Largest k of `topk`. */
export const MAX_K = 128;

/**
 * The k best of each row of scores [R, V], best first: values f32 [R, k] and indices u32 [R, k].
 *
 * Equal scores stand by index, but the row's target (`targets` u32 [R]; a number ≥ V stands for none) last among its
 * equals, as `rankOf` counts it. Masked scores (≤ −3e38) and NaN are never taken; missing places hold the index
 * 0xffffffff and the value −3e38. Where the scores are those of the items from `first` on, targets and indices count
 * from there, as items do.
 */
export function topk(
  scores: Tensor,
  k: number,
  options: { targets?: Tensor | null; first?: number } = {},
): { values: Tensor; indices: Tensor } {
  const { device } = scores;
  const [rows, v] = rowsOf('topk', scores);
  if (!Number.isInteger(k) || k < 1 || k > MAX_K) throw new Error(`topk: k from 1 to ${MAX_K} was expected, came ${k}`);
  const targets = options.targets ?? null;
  if (targets) checkTargets('topk', scores, targets);
  const values = device.empty([rows, k], 'f32', 'topk values');
  const indices = device.empty([rows, k], 'u32', 'topk indices');
  const params = { rows, v, first: options.first ?? 0, k, has_targets: targets ? 1 : 0 };
  if (rows > 0) device.run(TOPK, topkReference, { scores, targets, values, indices }, params);
  return { values, indices };
}

/**
 * Ranks u32 [R] of the targets (u32 [R]) within their rows of scores [R, V]: 1 is best, other items with the target's
 * score count before it. 0xffffffff where there is no target (≥ V) or it is masked (score ≤ −3e38);
 * 0 where a score of the row is NaN, which the reader must treat as an error.
 */
export function rankOf(scores: Tensor, targets: Tensor): Tensor {
  const { device } = scores;
  const [rows, v] = rowsOf('rankOf', scores);
  checkTargets('rankOf', scores, targets);
  const ranks = device.empty([rows], 'u32', 'ranks');
  if (rows > 0) device.run(RANK_OF, rankOfReference, { scores, targets, ranks }, { rows, v });
  return ranks;
}

/**
 * Sets scores [R, V] to −3e38, in place, for the items listed of each row: row r's are `items` (u32) from `offsets[r]`
 * to `offsets[r + 1]` (u32 [R + 1], not decreasing, ending within `items`; what lies behind is unused). Items ≥ V are
 * passed over. Where the scores are those of the items from `first` on, the lists hold those numbers.
 */
export function maskSeen(scores: Tensor, lists: { offsets: Tensor; items: Tensor }, first = 0): void {
  const [rows, v] = rowsOf('maskSeen', scores);
  const { offsets, items } = lists;
  if (offsets.dtype !== 'u32' || offsets.size !== rows + 1) {
    throw new Error(
      `maskSeen: offsets u32 [${rows + 1}] were expected for scores ${showShape(scores.shape)}, came ${offsets.dtype} ${showShape(offsets.shape)}`,
    );
  }
  if (items.dtype !== 'u32')
    throw new Error(`maskSeen: u32 items were expected, came ${items.dtype} ${showShape(items.shape)}`);
  if (scores.requiresGrad && scores.device.tape.enabled)
    throw new Error('maskSeen: it changes scores in place, which cannot be differentiated; use noGrad');
  const params = { rows, v, first, capacity: items.size };
  if (rows > 0) scores.device.run(MASK_SEEN, maskSeenReference, { offsets, items, scores }, params);
}

function rowsOf(who: string, scores: Tensor): [number, number] {
  if (scores.rank !== 2 || scores.dtype !== 'f32' || scores.shape[1] === 0) {
    throw new Error(
      `${who}: scores f32 [R,V] with V ≥ 1 were expected, came ${scores.dtype} ${showShape(scores.shape)}`,
    );
  }
  return [scores.shape[0], scores.shape[1]];
}

function checkTargets(who: string, scores: Tensor, targets: Tensor): void {
  if (targets.dtype !== 'u32' || targets.size !== scores.shape[0]) {
    throw new Error(
      `${who}: targets u32 [${scores.shape[0]}] were expected for scores ${showShape(scores.shape)}, came ${targets.dtype} ${showShape(targets.shape)}`,
    );
  }
}
