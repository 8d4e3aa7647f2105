/**
 * Ranking metrics for one held-out target a user (leave-one-out), accumulated as an evaluation streams.
 *
 * With a single relevant item at 1-based rank r (Järvelin & Kekäläinen 2002 for NDCG, Voorhees 1999 for MRR):
 *   HR@k        1 if r ≤ k, else 0                  Recall@k     the same, since one item is relevant
 *   NDCG@k      1 / log2(r + 1) if r ≤ k, else 0    Precision@k  HR@k / k
 *   MRR@k       1 / r if r ≤ k, else 0              MRR          1 / r over the whole ranking
 * each averaged over users. A miss (the target could not be ranked) counts 0 everywhere.
 */

/** The cutoffs that are reported. */
export const CUTOFFS = [1, 5, 10, 20, 50, 100] as const;
/** A rank that is a miss, and an empty place in a top-k list: the largest u32 (Infinity is a miss too). */
export const MISS = 0xffffffff;

/** Figures by name, as `NDCG@10`. */
export type Metrics = Record<string, number>;

/** HR, NDCG, MRR, Precision and Recall from ranks. */
export class RankMetrics {
  /** How many ranks were added. */
  users = 0;
  private reciprocal = 0;
  private readonly hits = new Float64Array(CUTOFFS.length);
  private readonly gains = new Float64Array(CUTOFFS.length);
  private readonly reciprocals = new Float64Array(CUTOFFS.length);

  /**
   * @param ranks 1-based rank of each user's target; {@link MISS} or Infinity for a miss
   * @throws Error when one is NaN, below 1 or not whole: a broken score must never count as a hit
   */
  add(ranks: ArrayLike<number>): void {
    for (let i = 0; i < ranks.length; i++) this.addOne(ranks[i]);
  }

  /** One user's rank; see {@link add}. */
  addOne(rank: number): void {
    if (!(rank >= 1) || !(Number.isInteger(rank) || rank === Infinity)) {
      throw new Error(`metrics: expected a 1-based rank, got ${rank} for user ${this.users} of the evaluation`);
    }
    this.users++;
    if (rank >= MISS) return;
    this.reciprocal += 1 / rank;
    const gain = 1 / Math.log2(rank + 1);
    for (let c = 0; c < CUTOFFS.length; c++) {
      if (rank > CUTOFFS[c]) continue;
      this.hits[c]++;
      this.gains[c] += gain;
      this.reciprocals[c] += 1 / rank;
    }
  }

  /** @throws Error when no rank was added: a mean over nobody is not a figure */
  result(): Metrics {
    if (this.users === 0) throw new Error('metrics: no user was evaluated');
    const metrics: Metrics = {};
    const mean = (sum: number) => sum / this.users;
    CUTOFFS.forEach((k, c) => {
      metrics[`NDCG@${k}`] = mean(this.gains[c]);
    });
    CUTOFFS.forEach((k, c) => {
      metrics[`HR@${k}`] = mean(this.hits[c]);
    });
    metrics.MRR = mean(this.reciprocal);
    CUTOFFS.forEach((k, c) => {
      metrics[`MRR@${k}`] = mean(this.reciprocals[c]);
    });
    CUTOFFS.forEach((k, c) => {
      metrics[`Precision@${k}`] = mean(this.hits[c]) / k;
    });
    CUTOFFS.forEach((k, c) => {
      metrics[`Recall@${k}`] = mean(this.hits[c]);
    });
    return metrics;
  }
}

/**
 * What the lists themselves are like, at one cutoff k:
 *   Coverage@k        items that stand in at least one user's top k, divided by the catalogue size V
 *   MeanPopularity@k  how often an item of a list occurs in training, averaged over the list, then over users
 *                     (average recommendation popularity, Abdollahpouri et al. 2019)
 */
export class ListMetrics {
  /** How many lists were added. */
  users = 0;
  private readonly popularity: ArrayLike<number>;
  private readonly k: number;
  private readonly seen: Uint8Array;
  private distinct = 0;
  private sum = 0;

  /** @param popularity [V] how often each item row occurs in the training part; its length is the catalogue size */
  constructor(popularity: ArrayLike<number>, k = 10) {
    this.popularity = popularity;
    this.k = k;
    this.seen = new Uint8Array(popularity.length);
  }

  /**
   * @param lists [users, width] item rows, best first; {@link MISS} marks a place left empty (fewer candidates than
   *   width). Only the first k of a row count. A list with nothing in it counts with popularity 0.
   * @throws Error when a row number lies outside the catalogue
   */
  add(lists: ArrayLike<number>, width: number): void {
    if (!(width > 0) || lists.length % width !== 0) {
      throw new Error(`metrics: expected rows of ${width} items, got ${lists.length} values`);
    }
    for (let from = 0; from < lists.length; from += width) {
      let sum = 0;
      let filled = 0;
      for (let i = from; i < from + Math.min(width, this.k); i++) {
        const item = lists[i];
        if (item === MISS) continue;
        if (!(item >= 0 && item < this.seen.length)) {
          throw new Error(`metrics: expected an item row below ${this.seen.length}, got ${item}`);
        }
        if (this.seen[item] === 0) this.distinct++;
        this.seen[item] = 1;
        sum += this.popularity[item];
        filled++;
      }
      if (filled > 0) this.sum += sum / filled;
      this.users++;
    }
  }

  /** @throws Error when no list was added */
  result(): Metrics {
    if (this.users === 0) throw new Error('metrics: no list was evaluated');
    return {
      [`Coverage@${this.k}`]: this.distinct / this.seen.length,
      [`MeanPopularity@${this.k}`]: this.sum / this.users,
    };
  }
}
