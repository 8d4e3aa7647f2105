/**
 * Ranking metrics, accumulated user by user as an evaluation streams.
 *
 * Of R relevant items, those retrieved have the 1-based ranks r₁ < r₂ < … (Järvelin & Kekäläinen 2002 for NDCG, Voorhees
 * 1999 for MRR, Manning, Raghavan & Schütze 2008, ch. 8, for the others):
 *   HR@k         1 if r₁ ≤ k, else 0
 *   NDCG@k       Σ_{rᵢ ≤ k} 1 / log2(rᵢ + 1), divided by the same sum over the ranks 1 … min(R, k)
 *   MRR@k        1 / r₁ if r₁ ≤ k, else 0            MRR      1 / r₁ over the whole ranking
 *   MAP@k        Σ_{rᵢ ≤ k} i / rᵢ, divided by min(R, k)
 *   Precision@k  |{rᵢ ≤ k}| / k                      Recall@k  |{rᵢ ≤ k}| / R
 *   F1@k         2 · Precision@k · Recall@k / (Precision@k + Recall@k), of each user
 * each averaged over users. With one relevant item (leave-one-out) Recall equals HR, and MAP equals MRR. A miss (the item
 * could not be ranked) counts 0 everywhere.
 */

/** The cutoffs that are reported. */
export const CUTOFFS = [1, 5, 10, 20, 50, 100] as const;
/** A rank that is a miss, and an empty place in a top-k list: the largest u32 (Infinity is a miss too). */
export const MISS = 0xffffffff;

/** Values by name, such as `NDCG@10`. */
export type Metrics = Record<string, number>;

/** In reporting order; MRR over the whole ranking comes between HR and MRR@k. */
const NAMES = ['NDCG', 'HR', 'MRR', 'MAP', 'Precision', 'Recall', 'F1'] as const;

/** IDEAL[n]: DCG of n relevant items at ranks 1 to n. */
const IDEAL = [0];
for (let r = 1; r <= CUTOFFS[CUTOFFS.length - 1]; r++) IDEAL.push(IDEAL[r - 1] + 1 / Math.log2(r + 1));

/** One user's HR, NDCG, MRR, MAP, Precision, Recall and F1 at one cutoff. */
export function metricsAt(
  k: number,
  ranks: ArrayLike<number>,
  relevant: number,
): Record<(typeof NAMES)[number], number> {
  let hits = 0;
  let gain = 0;
  let precisions = 0;
  for (let i = 0; i < ranks.length && ranks[i] <= k; i++) {
    hits++;
    gain += 1 / Math.log2(ranks[i] + 1);
    precisions += hits / ranks[i];
  }
  const best = Math.min(relevant, k);
  return {
    NDCG: gain / IDEAL[best],
    HR: hits > 0 ? 1 : 0,
    MRR: hits > 0 ? 1 / ranks[0] : 0,
    MAP: precisions / best,
    Precision: hits / k,
    Recall: hits / relevant,
    F1: (2 * hits) / (k + relevant),
  };
}

/** Ranks beyond it count for nothing in `criterionOf`. */
export const CRITERION_DEPTH = 50;

/**
 * What weights are chosen by on validation: a target's NDCG@10 plus its NDCG@50. The longer list has more hits, so that the
 * sum varies less among the few hundred users of a small log than NDCG@10, and chooses better for it (bench/RESULTS.md).
 */
export const criterionOf = (rank: number): number =>
  rank <= CRITERION_DEPTH ? (rank <= 10 ? 2 : 1) / Math.log2(rank + 1) : 0;

/** HR, NDCG, MRR, MAP, Precision, Recall and F1 from ranks. */
export class RankMetrics {
  /** How many users were added. */
  users = 0;
  private reciprocal = 0;
  private readonly cutoffs: readonly number[];
  /** [cutoffs, NAMES] */
  private readonly sums: Float64Array;

  /** @param depth ranks beyond it are unknown: larger cutoffs are left out */
  constructor(depth = Number.POSITIVE_INFINITY) {
    this.cutoffs = CUTOFFS.filter((k) => k <= depth);
    this.sums = new Float64Array(this.cutoffs.length * NAMES.length);
  }

  /**
   * @param ranks 1-based rank of each user's only target; {@link MISS} or Infinity for a miss
   * @throws Error for a rank that is NaN, below 1, or fractional: a broken score must never count as a hit
   */
  add(ranks: ArrayLike<number>): void {
    for (let i = 0; i < ranks.length; i++) this.addUser([ranks[i]]);
  }

  /** The ranks of one user's relevant items, in any order; see {@link add}. */
  addUser(ranks: ArrayLike<number>): void {
    if (ranks.length === 0) throw new Error(`metrics: user ${this.users} of the evaluation has no relevant item`);
    for (let i = 0; i < ranks.length; i++) {
      const rank = ranks[i];
      if (rank >= 1 && (Number.isInteger(rank) || rank === Infinity)) continue;
      throw new Error(`metrics: expected a 1-based rank, got ${rank} for user ${this.users} of the evaluation`);
    }
    const sorted = ranks.length === 1 ? ranks : Float64Array.from(ranks).sort();
    this.users++;
    if (sorted[0] >= MISS) return;
    this.reciprocal += 1 / sorted[0];
    this.cutoffs.forEach((k, c) => {
      if (sorted[0] > k) return;
      const metrics = metricsAt(k, sorted, ranks.length);
      for (let n = 0; n < NAMES.length; n++) this.sums[c * NAMES.length + n] += metrics[NAMES[n]];
    });
  }

  /** @throws Error if no rank was added: the mean over no user is undefined */
  result(): Metrics {
    if (this.users === 0) throw new Error('metrics: no user was evaluated');
    const metrics: Metrics = {};
    NAMES.forEach((name, n) => {
      if (name === 'MRR') metrics.MRR = this.reciprocal / this.users;
      this.cutoffs.forEach((k, c) => {
        metrics[`${name}@${k}`] = this.sums[c * NAMES.length + n] / this.users;
      });
    });
    return metrics;
  }
}
