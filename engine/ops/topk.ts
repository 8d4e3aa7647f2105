/** Evaluation on the device: the k best of each row of scores, a target's rank, and masks for seen items. No gradients. */
import { kernel, type Params } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { expectConstants } from './shared/check.ts';
import { maskSeenReference, rankOfReference, topkReference } from './topk.ref.ts';

/** Many rows fill a device with small workgroups; few rows want large ones. */
const wide = (p: Params): { WG: number } => ({ WG: p.rows * (p.parts ?? 1) >= 64 ? 64 : 256 });

const listed = (p: Params) => ({ ...wide(p), LISTED: p.listed === 1 });

const TOPK = kernel('topk', [{ file: 'topk', grid: (p) => p.rows * p.parts, constants: listed }]);
const RANK_OF = kernel('rank_of', [{ file: 'rank_of', grid: (p) => p.rows, constants: wide }]);
const MASK_SEEN = kernel('mask_seen', (p) => p.rows);

/** Scores of a part at least, and parts of all rows together at most. */
const PART_WIDTH = 16384;
const MOST_LISTS = 64;

/** Largest k of `topk`. */
export const MAX_K = 128;

/**
 * The k best of each row of scores [R, V], best first: values f32 [R, k] and indices u32 [R, k].
 *
 * Equal scores stand by index, but the row's target (`targets` u32 [R]; a number ≥ V stands for none) last among its
 * equals, as `rankOf` counts it. Masked scores (≤ −3e38) and NaN are never taken; missing entries hold the index
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
  if (!Number.isInteger(k) || k < 1 || k > MAX_K) throw new Error(`topk: expected k from 1 to ${MAX_K}, got ${k}`);
  expectConstants('topk', { scores });
  const targets = options.targets ?? null;
  if (targets) checkTargets('topk', scores, targets);
  const values = device.empty([rows, k], 'f32', 'topk values');
  const indices = device.empty([rows, k], 'u32', 'topk indices');
  if (rows === 0) return { values, indices };
  const common = { rows, first: options.first ?? 0, k, has_targets: targets ? 1 : 0 };
  const parts = partsOf(rows, v);
  const width = Math.ceil(v / parts);
  if (parts === 1) {
    const whole = { ...common, v, parts, width, listed: 0 };
    device.run(TOPK, topkReference, { scores, candidates: null, targets, values, indices }, whole);
    return { values, indices };
  }
  const some = {
    values: device.empty([rows, parts, k], 'f32', 'topk values of parts'),
    indices: device.empty([rows, parts, k], 'u32', 'topk indices of parts'),
  };
  device.run(
    TOPK,
    topkReference,
    { scores, candidates: null, targets, ...some },
    { ...common, v, parts, width, listed: 0 },
  );
  device.run(
    TOPK,
    topkReference,
    { scores: some.values, candidates: some.indices, targets, values, indices },
    { ...common, v: parts * k, parts: 1, width: parts * k, listed: 1 },
  );
  return { values, indices };
}

/**
 * Few long rows are cut into parts, each with a workgroup of its own, whose k best are merged in a second pass: keys are
 * unique, so that the result is the same.
 */
function partsOf(rows: number, v: number): number {
  return Math.max(1, Math.min(Math.floor(MOST_LISTS / rows), Math.floor(v / PART_WIDTH)));
}

/**
 * Ranks u32 [R] of the targets (u32 [R]) within their rows of scores [R, V]: 1 is best, other items with the target's
 * score count before it. 0xffffffff where there is no target (≥ V) or it is masked (score ≤ −3e38);
 * 0 where a score of the row is NaN or infinite, which the caller must treat as an error.
 */
export function rankOf(scores: Tensor, targets: Tensor): Tensor {
  const { device } = scores;
  const [rows, v] = rowsOf('rankOf', scores);
  expectConstants('rankOf', { scores });
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
      `maskSeen: expected offsets u32 [${rows + 1}] for scores ${showShape(scores.shape)}, got ${offsets.dtype} ${showShape(offsets.shape)}`,
    );
  }
  if (items.dtype !== 'u32')
    throw new Error(`maskSeen: expected u32 items, got ${items.dtype} ${showShape(items.shape)}`);
  expectConstants('maskSeen', { scores }, 'it changes scores in place: use noGrad()');
  scores.device.inPlace('maskSeen', scores);
  const params = { rows, v, first, capacity: items.size };
  if (rows > 0) scores.device.run(MASK_SEEN, maskSeenReference, { offsets, items, scores }, params);
}

function rowsOf(who: string, scores: Tensor): [number, number] {
  if (scores.rank !== 2 || scores.dtype !== 'f32' || scores.shape[1] === 0) {
    throw new Error(`${who}: expected scores f32 [R,V] with V ≥ 1, got ${scores.dtype} ${showShape(scores.shape)}`);
  }
  return [scores.shape[0], scores.shape[1]];
}

function checkTargets(who: string, scores: Tensor, targets: Tensor): void {
  if (targets.dtype !== 'u32' || targets.size !== scores.shape[0]) {
    throw new Error(
      `${who}: expected targets u32 [${scores.shape[0]}] for scores ${showShape(scores.shape)}, got ${targets.dtype} ${showShape(targets.shape)}`,
    );
  }
}
