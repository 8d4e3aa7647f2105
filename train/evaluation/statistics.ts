/** Uncertainty of metrics: bootstrap intervals, paired tests of two recommenders on the same users, and tests of groups of users. */
import { type Random, seeded, shuffle } from '../../data/random.ts';

export interface Interval {
  mean: number;
  /** 95 % confidence limits of the mean over users */
  low: number;
  high: number;
}

export interface Difference extends Interval {
  /** Two-sided, under the hypothesis that both recommenders are equally good for each user. */
  p: number;
}

const RESAMPLES = 1000;
const PERMUTATIONS = 10_000;
/** Most draws of an interval or a test: with more users, fewer resamples (at least 200) are drawn. */
const MOST_DRAWS = 200_000_000;
/** Streams of the seed. */
const BOOTSTRAP = 0xb007;
const SIGNS = 0x5165;
const LABELS = 0x1abe;

const roundsOf = (wanted: number, users: number): number =>
  Math.max(Math.min(wanted, 200), Math.min(wanted, Math.floor(MOST_DRAWS / Math.max(1, users))));

/**
 * Percentile bootstrap over users (Efron & Tibshirani 1993, ch. 13): as many users as there are are drawn with replacement,
 * 1,000 times, and 95 % of the means lie between the limits.
 *
 * @throws Error if there are no values
 */
export function bootstrap(values: ArrayLike<number>, seed: number): Interval {
  const n = values.length;
  if (n === 0) throw new Error('statistics: expected the values of at least one user');
  const random = seeded(seed, BOOTSTRAP);
  const rounds = roundsOf(RESAMPLES, n);
  const means = new Float64Array(rounds);
  for (let round = 0; round < rounds; round++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[random.below(n)];
    means[round] = sum / n;
  }
  means.sort();
  return { mean: meanOf(values), low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/**
 * The mean of a − b over the same users with its bootstrap interval, and the p-value of a paired randomization test
 * (Fisher 1935; recommended for retrieval by Smucker, Allan & Carterette, CIKM 2007): under the hypothesis each user's
 * difference is equally likely to have the other sign, and p is the fraction of 10,000 random sign patterns (the observed
 * one included) whose mean is at least as far from 0.
 *
 * @throws Error if the lengths differ or there is no user
 */
export function paired(a: ArrayLike<number>, b: ArrayLike<number>, seed: number): Difference {
  if (a.length !== b.length) throw new Error(`statistics: expected the same users, got ${a.length} and ${b.length}`);
  const differences = Float64Array.from(a, (value, i) => value - b[i]);
  return { ...bootstrap(differences, seed), p: signFlip(differences, seed) };
}

function signFlip(differences: Float64Array, seed: number): number {
  const changed = differences.filter((difference) => difference !== 0);
  // Sums of the same numbers in another order differ in the last bits, which must not decide.
  const observed = Math.abs(changed.reduce((sum, x) => sum + x, 0)) * (1 - 1e-12);
  const bits = bitSource(seeded(seed, SIGNS));
  const rounds = roundsOf(PERMUTATIONS, changed.length);
  let extreme = 1;
  for (let round = 1; round < rounds; round++) {
    let sum = 0;
    for (let i = 0; i < changed.length; i++) sum += bits() ? changed[i] : -changed[i];
    if (Math.abs(sum) >= observed) extreme++;
  }
  return extreme / rounds;
}

/** A statistic of users in groups. */
export interface Permuted {
  value: number;
  /** Its mean where groups say nothing: what it is by chance. */
  chance: number;
  /** One-sided: the fraction of assignments, the observed one included, in which it is at least as large. */
  p: number;
}

/**
 * Permutation test over users (Fisher 1935; Good, "Permutation tests", 2000): under the hypothesis that groups say nothing,
 * every assignment of the users to groups of these sizes is equally likely, and up to 10,000 random ones are drawn. Groups
 * hold different users, so that nothing is paired here.
 *
 * @param labels [n] group of each user @param statisticsOf of one assignment, in a fixed order
 * @param work numbers that `statisticsOf` looks at: more of them, fewer assignments
 */
export function permutationTest(
  labels: Uint32Array,
  statisticsOf: (labels: Uint32Array) => readonly number[],
  work: number,
  seed: number,
): Permuted[] {
  const observed = statisticsOf(labels);
  const random = seeded(seed, LABELS);
  const rounds = roundsOf(PERMUTATIONS, work);
  const extreme = observed.map(() => 1);
  const sums = observed.map(() => 0);
  const shuffled = labels.slice();
  for (let round = 1; round < rounds; round++) {
    const drawn = statisticsOf(shuffle(shuffled, random));
    drawn.forEach((value, i) => {
      sums[i] += value;
      // Sums of the same numbers in another order differ in the last bits, which must not decide.
      if (value >= observed[i] * (1 - 1e-12)) extreme[i]++;
    });
  }
  return observed.map((value, i) => ({ value, chance: sums[i] / (rounds - 1), p: extreme[i] / rounds }));
}

/** Random bits, 30 per draw. */
function bitSource(random: Random): () => number {
  let word = 0;
  let left = 0;
  return () => {
    if (left === 0) {
      word = random.below(2 ** 30);
      left = 30;
    }
    left--;
    const bit = word & 1;
    word >>= 1;
    return bit;
  };
}

const meanOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
};

/** Quantile of a sorted array, linearly interpolated. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

/** The mean of b − a over the same users, and its standard error. */
export function gainOf(a: ArrayLike<number>, b: ArrayLike<number>): { mean: number; error: number } {
  const gains = Float64Array.from(a, (x, i) => b[i] - x);
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  const squares = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / Math.max(1, gains.length - 1) / gains.length) };
}
