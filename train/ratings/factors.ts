/**
 * Learns the factors of model/ratings/factors.ts: each side's posteriors in turn, priors and noise from what they explain. Where
 * attributes are known, a regression on them gives the priors' means (attribute-regression.ts), three times along the way.
 */
import type { RatingFeatures, PlainBags } from '../../data/ratings/side-features.ts';
import { seeded } from '../../data/random.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import { type Factors, itemConstant, PosteriorSolver, triangle, userConstant } from '../../model/ratings/factors.ts';
import { AttributeRegression } from './attribute-regression.ts';

export interface FactorOptions {
  /** k: how many in addition to the biases. */
  factors: number;
  sweeps: number;
  seed: number;
  /** What is known of the entities. */
  known?: Pick<RatingFeatures, 'items' | 'users'> | null;
}

/** Both sides, for predictions about rows of the log they were learned from. */
export interface FittedFactors extends Factors {
  /** [users, N] */
  users: Float32Array;
  /** [V, N]: what is expected of each item without its own ratings: no more than of any, where no attributes are known. */
  expectedItems: Float32Array;
}

/** Entities of one side: means, second moments, prior variances. */
interface Side {
  count: number;
  constant: number;
  means: Float32Array;
  moments: Float32Array;
  prior: Float64Array;
  regression: AttributeRegression | null;
}

/** Ratings of each entity of one side: the other side's entity, and the rating in standard units. */
interface Lists {
  starts: Uint32Array;
  other: Uint32Array;
  value: Float32Array;
}

/** Initial prior variance and noise, in standard units. */
const PRIOR = 0.1;
const NOISE = 0.7;
/** Least prior variance: an unused factor fades, but stays a number. */
const LEAST = 1e-6;
/** Entities solved between two yields. */
const BREATH = 512;
/** Streams of the seed for the items' and the users' first means. */
const STREAM = 0xfac7;

/**
 * Learns from the given rows. A generator, so that the caller can let others run and show progress between its parts: it yields
 * the share done, and ends with the sweep at whose last part it is given `true`.
 */
export function* fitFactors(
  ratings: Ratings,
  rows: Uint32Array,
  { factors, sweeps, seed, known }: FactorOptions,
): Generator<number, FittedFactors, boolean | undefined> {
  const n = factors + 2;
  const { mean, std } = scaleOf(ratings, rows);
  const regression = (known: PlainBags | null | undefined, constant: number) =>
    known ? new AttributeRegression(known, n, constant) : null;
  const users = side(ratings.userIds.length, n, userConstant(n), regression(known?.users, userConstant(n)));
  const items = side(ratings.itemIds.length, n, itemConstant(n), regression(known?.items, itemConstant(n)));
  const random = seeded(seed, STREAM);
  for (let i = 0; i < items.count; i++) {
    for (let a = 0; a < factors; a++)
      items.means[i * n + a] = (0.6 * (random.next() + random.next() - 1)) / Math.sqrt(factors);
    setMoments(items, i, n, items.means.subarray(i * n, i * n + n), null);
  }
  const standard = Float32Array.from(rows, (row) => (ratings.value[row] - mean) / std);
  const ofUsers = listsOf(ratings.user, ratings.item, users.count, rows, standard);
  const ofItems = listsOf(ratings.item, ratings.user, items.count, rows, standard);
  const squares = standard.reduce((sum, v) => sum + v * v, 0);
  let noise = NOISE;
  let enough = false;
  function* expect(): Generator<void> {
    yield* items.regression?.fit(items.means, ofItems.starts) ?? [];
    yield* users.regression?.fit(users.means, ofUsers.starts) ?? [];
  }
  const third = Math.max(1, Math.floor(sweeps / 3));
  for (let sweep = 0; sweep < sweeps && !enough; sweep++) {
    if (sweep > 0 && sweep % third === 0 && sweep <= 2 * third) {
      for (const _ of expect()) enough = (yield sweep / sweeps) ?? false;
    }
    for (const part of update(users, items, ofUsers, noise, n)) {
      enough = (yield (sweep + part.done / 2) / sweeps) ?? false;
    }
    let explained = 0;
    for (const part of update(items, users, ofItems, noise, n)) {
      explained = part.explained;
      enough = (yield (sweep + 0.5 + part.done / 2) / sweeps) ?? false;
    }
    noise = Math.max((squares + explained) / rows.length, 1e-4);
  }
  for (const _ of expect()) yield 1;
  return {
    mean,
    std,
    noise,
    n,
    items: items.means,
    moments: items.moments,
    users: users.means,
    userPrior: Float32Array.from(users.prior),
    expectedItems: items.regression?.expected ?? nothingKnown(items.count, n, items.constant),
    expectations: {
      items: items.regression && { coefficients: items.regression.coefficients, prior: Float32Array.from(items.prior) },
      users: users.regression?.coefficients ?? null,
    },
  };
}

function scaleOf(ratings: Ratings, rows: Uint32Array): { mean: number; std: number } {
  let sum = 0;
  for (const row of rows) sum += ratings.value[row];
  const mean = sum / rows.length;
  let squares = 0;
  for (const row of rows) squares += (ratings.value[row] - mean) ** 2;
  return { mean, std: Math.sqrt(squares / rows.length) || 1 };
}

function side(count: number, n: number, constant: number, regression: AttributeRegression | null): Side {
  return {
    count,
    constant,
    means: nothingKnown(count, n, constant),
    moments: new Float32Array(count * triangle(n)),
    prior: new Float64Array(n).fill(PRIOR),
    regression,
  };
}

/** Means [count, N] of zeros and the constant. */
function nothingKnown(count: number, n: number, constant: number): Float32Array {
  return Float32Array.from({ length: count * n }, (_, i) => Number(i % n === constant));
}

function setMoments(to: Side, e: number, n: number, mean: ArrayLike<number>, covariance: Float64Array | null): void {
  let at = e * triangle(n);
  for (let a = 0; a < n; a++) {
    for (let b = 0; b <= a; b++) to.moments[at++] = mean[a] * mean[b] + (covariance ? covariance[a * n + b] : 0);
  }
}

function listsOf(by: Uint32Array, other: Uint32Array, count: number, rows: Uint32Array, standard: Float32Array): Lists {
  const starts = new Uint32Array(count + 1);
  for (const row of rows) starts[by[row] + 1]++;
  for (let e = 0; e < count; e++) starts[e + 1] += starts[e];
  const next = starts.slice();
  const lists = { starts, other: new Uint32Array(rows.length), value: new Float32Array(rows.length) };
  rows.forEach((row, i) => {
    const at = next[by[row]]++;
    lists.other[at] = other[row];
    lists.value[at] = standard[i];
  });
  return lists;
}

/**
 * Every posterior of one side, given the other, and the side's prior from them. `explained` grows to
 * Σ E[prediction² − 2 rating · prediction], what the squared error is apart from Σ rating².
 */
function* update(
  own: Side,
  other: Side,
  lists: Lists,
  noise: number,
  n: number,
): Generator<{ done: number; explained: number }> {
  const solver = new PosteriorSolver(n, own.constant);
  const { mean, covariance, moments, right } = solver;
  const variances = new Float64Array(n);
  const expected = own.regression?.expected;
  let explained = 0;
  for (let e = 0; e < own.count; e++) {
    solver.clear();
    for (let at = lists.starts[e]; at < lists.starts[e + 1]; at++)
      solver.add(other.means, other.moments, lists.other[at], lists.value[at]);
    const before = expected?.subarray(e * n, e * n + n);
    solver.solve(own.prior, noise, before);
    own.means.set(mean, e * n);
    setMoments(own, e, n, mean, covariance);
    for (let a = 0, at = 0; a < n; a++) {
      variances[a] += (mean[a] - (before?.[a] ?? 0)) ** 2 + covariance[a * n + a];
      explained -= 2 * mean[a] * right[a];
      for (let b = 0; b <= a; b++, at++)
        explained += (a === b ? 1 : 2) * moments[at] * (mean[a] * mean[b] + covariance[a * n + b]);
    }
    if (e % BREATH === BREATH - 1) yield { done: e / own.count, explained };
  }
  for (let a = 0; a < n; a++) if (a !== own.constant) own.prior[a] = Math.max(variances[a] / own.count, LEAST);
  yield { done: 1, explained };
}
