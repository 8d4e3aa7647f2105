/** How far apart groups of users are, and whether groups at random would be as far. */
import { permutationTest } from '../evaluation/statistics.ts';

export interface Gap {
  /** Groups with the highest and the lowest mean. */
  highest: string;
  lowest: string;
  difference: number;
  /**
   * The p-value of the variance between groups, Σ users · (mean − mean of all)², in a permutation test over users: small
   * where groups at random are rarely as far apart.
   */
  p: number;
}

/**
 * The gap between groups in a value that each user has: NDCG, whether the target was hit, money spent.
 * @param values [n] @param groups [n] name of each user's group
 * @throws Error where there are fewer than two groups
 */
export function groupGap(values: ArrayLike<number>, groups: readonly string[], seed = 1): Gap {
  const names = [...new Set(groups)];
  if (names.length < 2) throw new Error(`fairness: expected two groups or more, got ${names.length}`);
  const at = new Map(names.map((name, g) => [name, g]));
  const labels = Uint32Array.from(groups, (name) => at.get(name) as number);
  return gapsOf([Float64Array.from(values)], labels, names, seed)[0];
}

/** The gap in each column of values, all of the same users. @param labels [n] indices of `names` */
export function gapsOf(
  columns: readonly Float64Array[],
  labels: Uint32Array,
  names: readonly string[],
  seed: number,
): Gap[] {
  const sizes = new Float64Array(names.length);
  for (const g of labels) sizes[g]++;
  const middles = columns.map((values) => values.reduce((sum, x) => sum + x, 0) / values.length);
  const variances = (some: Uint32Array): number[] =>
    columns.map((values, c) =>
      meansOf(values, some, sizes).reduce((sum, mean, g) => sum + sizes[g] * (mean - middles[c]) ** 2, 0),
    );
  const tested = permutationTest(labels, variances, columns.length * labels.length, seed);
  return columns.map((values, c) => {
    const means = meansOf(values, labels, sizes);
    const order = names.map((name, g) => ({ name, mean: means[g] })).sort((a, b) => b.mean - a.mean);
    const [highest, lowest] = [order[0], order[order.length - 1]];
    const difference = highest.mean - lowest.mean;
    return { highest: highest.name, lowest: lowest.name, difference, p: tested[c].p };
  });
}

function meansOf(values: Float64Array, labels: Uint32Array, sizes: Float64Array): Float64Array {
  const sums = new Float64Array(sizes.length);
  for (let i = 0; i < values.length; i++) sums[labels[i]] += values[i];
  return sums.map((sum, g) => sum / sizes[g]);
}
