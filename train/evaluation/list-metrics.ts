/**
 * Metrics of the recommended lists themselves, independent of the targets, at one cutoff k:
 *   Coverage@k        number of items in at least one user's top k, divided by the catalog size V
 *   Gini@k            of how often each of the V items is recommended: 0 if all are equally frequent, near 1 if a few items
 *                     dominate: Σⱼ (2j − V − 1) nⱼ / (V Σ n), n ascending, j from 1 (Adomavicius & Kwon 2012)
 *   MeanPopularity@k  training events of an item, averaged over the list, then over users
 *                     (average recommendation popularity, Abdollahpouri et al. 2019)
 *   Novelty@k         mean self-information −log2(users with the item in training / users), in bits, averaged likewise;
 *                     an item without users counts as having one (Zhou et al. 2010)
 *   Diversity@k       mean pairwise distance within a list, averaged over users with at least two items (intra-list
 *                     diversity, Ziegler et al. 2005); distances as in diversity.ts
 */
import { type Metrics, MISS } from './metrics.ts';

/** Distance of two item rows, 0 (alike) to 1; NaN if either has no attributes. */
export type Distance = (a: number, b: number) => number;

export interface ListContext {
  /** [V] training events of each item row */
  counts: ArrayLike<number>;
  /** [V] users with the item in training */
  holders: ArrayLike<number>;
  /** users with training events */
  users: number;
  /** Without it there is no Diversity. */
  distance?: Distance | null;
}

export class ListMetrics {
  /** How many lists were added. */
  users = 0;
  private readonly context: ListContext;
  private readonly k: number;
  private readonly shown: Float64Array;
  private popularity = 0;
  private novelty = 0;
  private diversity = { sum: 0, users: 0 };

  constructor(context: ListContext, k = 10) {
    this.context = context;
    this.k = k;
    this.shown = new Float64Array(context.counts.length);
  }

  /**
   * One user's list of item rows, best first; only the first k count, and {@link MISS} marks an empty position. An empty
   * list counts with popularity and novelty 0.
   * @throws Error for a row outside the catalog
   */
  add(list: ArrayLike<number>): void {
    const { counts, holders, users, distance } = this.context;
    const rows: number[] = [];
    for (let i = 0; i < Math.min(list.length, this.k); i++) {
      const item = list[i];
      if (item === MISS) continue;
      if (!(item >= 0 && item < this.shown.length)) {
        throw new Error(`metrics: expected an item row below ${this.shown.length}, got ${item}`);
      }
      rows.push(item);
    }
    this.users++;
    let [popularity, bits] = [0, 0];
    for (const item of rows) {
      this.shown[item]++;
      popularity += counts[item];
      bits += Math.log2(Math.max(1, users) / Math.max(1, holders[item]));
    }
    if (rows.length > 0) {
      this.popularity += popularity / rows.length;
      this.novelty += bits / rows.length;
    }
    if (distance) this.addPairs(rows, distance);
  }

  private addPairs(rows: readonly number[], distance: Distance): void {
    let [sum, pairs] = [0, 0];
    for (let i = 0; i < rows.length; i++) {
      for (let j = 0; j < i; j++) {
        const d = distance(rows[i], rows[j]);
        if (Number.isNaN(d)) continue;
        sum += d;
        pairs++;
      }
    }
    if (pairs === 0) return;
    this.diversity.sum += sum / pairs;
    this.diversity.users++;
  }

  /** @throws Error when no list was added */
  result(): Metrics {
    if (this.users === 0) throw new Error('metrics: no list was evaluated');
    const { shown, k } = this;
    const metrics: Metrics = {
      [`Coverage@${k}`]: shown.reduce((n, times) => n + (times > 0 ? 1 : 0), 0) / shown.length,
      [`MeanPopularity@${k}`]: this.popularity / this.users,
      [`Gini@${k}`]: gini(shown),
      [`Novelty@${k}`]: this.novelty / this.users,
    };
    if (this.diversity.users > 0) metrics[`Diversity@${k}`] = this.diversity.sum / this.diversity.users;
    return metrics;
  }
}

/** The Gini coefficient of non-negative amounts; 0 if all are 0. */
export function gini(amounts: Float64Array): number {
  const sorted = amounts.slice().sort();
  let [weighted, total] = [0, 0];
  sorted.forEach((amount, j) => {
    weighted += (2 * (j + 1) - sorted.length - 1) * amount;
    total += amount;
  });
  return total > 0 ? weighted / (sorted.length * total) : 0;
}
