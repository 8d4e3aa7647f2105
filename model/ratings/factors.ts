/**
 * Factors of users and items as distributions: r ≈ μ + b_u + b_i + p_u · q_i, every (p_u, b_u) and (q_i, b_i) a normal
 * distribution (variational Bayes for matrix factorization, Lim & Teh 2007; Raiko, Ilin & Karhunen 2007). It is the
 * baseline that the rating transformer starts from.
 *
 * Entities are vectors of N = k + 2 numbers whose product is the prediction: users (p, b_u, 1), items (q, 1, b_i), the 1
 * being certain. Ratings are in standard units, (rating − mean) / std. What a posterior needs of the other side are its
 * means [N] and second moments E[x xᵀ], stored as the lower triangle, row by row: N (N + 1) / 2 numbers.
 *
 * Only the items' side is kept in a model: users, new ones too, follow from their ratings in closed form (`user`).
 */
import { damaged } from '../../data/errors.ts';
import type { SideFeatureRows } from '../../data/features/side-rows.ts';
import type { StoredTensor } from '../storage/safetensors.ts';
import { tensorOf, vector } from '../storage/tensors.ts';

/** Numbers of a lower triangle. */
export const triangle = (n: number): number => (n * (n + 1)) / 2;

export interface Factors {
  /** Of the ratings' scale. */
  mean: number;
  std: number;
  /** Variance of a rating around its prediction, in standard units. */
  noise: number;
  /** N = k + 2. */
  n: number;
  /** [V, N] and [V, N (N + 1) / 2]. */
  items: Float32Array;
  moments: Float32Array;
  /** [N]: variances of a user's numbers before anything is known; that of the constant is unused. */
  userPrior: Float32Array;
  expectations: Expectations;
}

/**
 * What attributes tell of entities before they are rated: prior means x · G, with x a bag of rows of a table
 * (regression-based latent factors, Agarwal & Chen, KDD 2009). Null where no attributes are known.
 */
export interface Expectations {
  /** G [rows, N], and [N]: variances of an item's numbers around what is expected of it. */
  items: { coefficients: Float32Array; prior: Float32Array } | null;
  /** G [rows, N] */
  users: Float32Array | null;
}

/** Solves for one entity after the other; holds the room it needs. */
export class PosteriorSolver {
  readonly n: number;
  /** Which of the N numbers is the constant 1. */
  readonly constant: number;
  /** Sums over the entity's ratings of the other side's second moments, and of mean · rating; filled by the caller. */
  readonly moments: Float64Array;
  readonly right: Float64Array;
  /** The posterior: mean [N] (with the constant) and covariance [N, N] (zero for the constant). */
  readonly mean: Float64Array;
  readonly covariance: Float64Array;
  private readonly free: number[];
  private readonly lower: Float64Array;
  private readonly inverse: Float64Array;

  constructor(n: number, constant: number) {
    this.n = n;
    this.constant = constant;
    this.moments = new Float64Array(triangle(n));
    this.right = new Float64Array(n);
    this.mean = new Float64Array(n);
    this.covariance = new Float64Array(n * n);
    this.free = Array.from({ length: n }, (_, a) => a).filter((a) => a !== constant);
    this.lower = new Float64Array((n - 1) ** 2);
    this.inverse = new Float64Array((n - 1) ** 2);
  }

  clear(): void {
    this.moments.fill(0);
    this.right.fill(0);
  }

  /** Adds entity j of the other side with what it was rated, or takes it away (sign −1). */
  add(means: Float32Array, moments: Float32Array, j: number, rating: number, sign = 1): void {
    const { n } = this;
    const t = this.moments.length;
    for (let a = 0, at = j * t; a < t; a++, at++) this.moments[a] += sign * moments[at];
    const weight = sign * rating;
    for (let a = 0, at = j * n; a < n; a++, at++) this.right[a] += weight * means[at];
  }

  /**
   * Precision = 1/prior + moments/noise over the free numbers; see the head for what is left where.
   * @param expected [N] the prior's mean; zeros by default
   */
  solve(prior: ArrayLike<number>, noise: number, expected?: ArrayLike<number>): void {
    const { free, lower, inverse, moments, mean, covariance, n, constant } = this;
    const f = free.length;
    const at = (a: number, b: number) => moments[a >= b ? triangle(a) + b : triangle(b) + a];
    // Cholesky, row by row.
    for (let a = 0; a < f; a++) {
      for (let b = 0; b <= a; b++) {
        let v = at(free[a], free[b]) / noise + (a === b ? 1 / prior[free[a]] : 0);
        for (let c = 0; c < b; c++) v -= lower[a * f + c] * lower[b * f + c];
        lower[a * f + b] = a === b ? Math.sqrt(Math.max(v, 1e-12)) : v / lower[b * f + b];
      }
    }
    for (let b = 0; b < f; b++) {
      for (let a = b; a < f; a++) {
        let v = a === b ? 1 : 0;
        for (let c = b; c < a; c++) v -= lower[a * f + c] * inverse[c * f + b];
        inverse[a * f + b] = v / lower[a * f + a];
      }
    }
    covariance.fill(0);
    for (let a = 0; a < f; a++) {
      for (let b = 0; b <= a; b++) {
        let v = 0;
        for (let c = a; c < f; c++) v += inverse[c * f + a] * inverse[c * f + b];
        covariance[free[a] * n + free[b]] = v;
        covariance[free[b] * n + free[a]] = v;
      }
    }
    mean.fill(0);
    mean[constant] = 1;
    for (let a = 0; a < f; a++) {
      let v = 0;
      for (let b = 0; b < f; b++) {
        const seen = (this.right[free[b]] - at(free[b], constant)) / noise;
        const prediction = expected ? expected[free[b]] / prior[free[b]] : 0;
        v += covariance[free[a] * n + free[b]] * (seen + prediction);
      }
      mean[free[a]] = v;
    }
  }
}

/** Indices of the constants: users end in 1, items have it before their bias. */
export const userConstant = (n: number): number => n - 1;
export const itemConstant = (n: number): number => n - 2;

function solverOf(f: Factors, items: ArrayLike<number>, values: ArrayLike<number>): PosteriorSolver {
  const solver = new PosteriorSolver(f.n, userConstant(f.n));
  for (let i = 0; i < items.length; i++) solver.add(f.items, f.moments, items[i], values[i]);
  return solver;
}

/** A user's mean vector [N] from what they rated; `values` in standard units. @param expected as `solve` takes it */
export function userFactors(
  f: Factors,
  items: ArrayLike<number>,
  values: ArrayLike<number>,
  expected?: ArrayLike<number>,
): Float64Array {
  const solver = solverOf(f, items, values);
  solver.solve(f.userPrior, f.noise, expected);
  return solver.mean;
}

/** Prior means [count, N] of entities with these bags; the constant of each is 1. */
export function priorMeans(
  bags: SideFeatureRows,
  coefficients: Float32Array,
  n: number,
  constant: number,
): Float32Array {
  const count = bags.starts.length - 1;
  const means = new Float32Array(count * n);
  for (let e = 0; e < count; e++) {
    for (let at = bags.starts[e]; at < bags.starts[e + 1]; at++) {
      for (let a = 0; a < n; a++) means[e * n + a] += bags.values[at] * coefficients[bags.columns[at] * n + a];
    }
    means[e * n + constant] = 1;
  }
  return means;
}

/** The factors with more items, of which nothing but their bags is known, or not even that. */
export function withItems(f: Factors, count: number, bags: SideFeatureRows | null): Factors {
  const { n, expectations } = f;
  const nothing = new Float32Array(n);
  const means = new Float32Array(count * n);
  for (let e = 0; e < count; e++) means[e * n + itemConstant(n)] = 1;
  const { coefficients, prior } = expectations.items ?? { coefficients: nothing, prior: nothing };
  if (bags) means.set(priorMeans(bags, coefficients, n, itemConstant(n)));
  const moments = new Float32Array(count * triangle(n));
  for (let e = 0, at = 0; e < count; e++) {
    for (let a = 0; a < n; a++) {
      for (let b = 0; b <= a; b++, at++) {
        const variance = a === b && a !== itemConstant(n) ? prior[a] : 0;
        moments[at] = means[e * n + a] * means[e * n + b] + variance;
      }
    }
  }
  const joined = (a: Float32Array, b: Float32Array): Float32Array => {
    const all = new Float32Array(a.length + b.length);
    all.set(a);
    all.set(b, a.length);
    return all;
  };
  return { ...f, items: joined(f.items, means), moments: joined(f.moments, moments) };
}

/** The prediction of an item for a user's vector, in standard units. */
export function factorScore(f: Factors, user: ArrayLike<number>, item: number): number {
  let score = 0;
  for (let a = 0, at = item * f.n; a < f.n; a++, at++) score += user[a] * f.items[at];
  return score;
}

/** What the user's other ratings predict for each rated item, in standard units. */
export function leaveOneOut(
  f: Factors,
  items: ArrayLike<number>,
  values: ArrayLike<number>,
  expected?: ArrayLike<number>,
): Float32Array {
  const solver = solverOf(f, items, values);
  const out = new Float32Array(items.length);
  for (let i = 0; i < items.length; i++) {
    solver.add(f.items, f.moments, items[i], values[i], -1);
    solver.solve(f.userPrior, f.noise, expected);
    out[i] = factorScore(f, solver.mean, items[i]);
    solver.add(f.items, f.moments, items[i], values[i]);
  }
  return out;
}

const vectors = (all: Record<string, Float32Array | null | undefined>): [string, StoredTensor][] =>
  Object.entries(all).flatMap(([name, data]) => (data ? [[name, vector(data)]] : []));

/** As the model folder stores them. */
export function storeFactors(f: Factors): Map<string, StoredTensor> {
  const v = f.items.length / f.n;
  return new Map([
    ['factors.scale', vector(Float32Array.of(f.mean, f.std, f.noise))],
    ['factors.items', { shape: [v, f.n], data: f.items }],
    ['factors.moments', { shape: [v, triangle(f.n)], data: f.moments }],
    ['factors.userPrior', vector(f.userPrior)],
    ...vectors({
      'factors.expected.items': f.expectations.items?.coefficients,
      'factors.expected.prior': f.expectations.items?.prior,
      'factors.expected.users': f.expectations.users,
    }),
  ]);
}

const PARTS = ['scale', 'items', 'moments', 'userPrior', 'expected.items', 'expected.prior', 'expected.users'] as const;
/** Names of all tensors that {@link storeFactors} may write. */
export const FACTORS = PARTS.map((part) => `factors.${part}`);

/** The way back. @throws InputError that names the tensor that is missing or does not fit */
export function restoreFactors(tensors: ReadonlyMap<string, StoredTensor>, path: string): Factors {
  const part = (name: (typeof PARTS)[number], shape: (number | null)[]): Float32Array =>
    tensorOf({ tensors, path }, `factors.${name}`, 'F32', shape);
  const optional = (name: (typeof PARTS)[number]): Float32Array | null =>
    tensors.has(`factors.${name}`) ? part(name, [null]) : null;
  const fail = (name: (typeof PARTS)[number], what: string): never =>
    damaged(path)(`damaged: tensor factors.${name}: ${what}`);
  const [mean, std, noise] = part('scale', [3]);
  if (!(std > 0 && noise > 0)) fail('scale', 'expected numbers > 0');
  const userPrior = part('userPrior', [null]);
  const n = userPrior.length;
  if (n < 3) fail('userPrior', `expected 3 numbers or more, got ${n}`);
  const items = part('items', [null, n]);
  const moments = part('moments', [items.length / n, triangle(n)]);
  const [coefficients, prior, users] = [
    optional('expected.items'),
    optional('expected.prior'),
    optional('expected.users'),
  ];
  for (const [name, table] of [['expected.items', coefficients] as const, ['expected.users', users] as const])
    if (table && table.length % n !== 0) fail(name, `expected rows of ${n} numbers, got ${table.length} numbers`);
  if ((coefficients === null) !== (prior === null) || (prior && prior.length !== n))
    fail('expected.prior', `expected F32 [${n}] with factors.expected.items`);
  const expectations = { items: coefficients && prior && { coefficients, prior }, users };
  return { mean, std, noise, n, items, moments, userPrior, expectations };
}
