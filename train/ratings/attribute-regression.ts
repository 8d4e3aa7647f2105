/**
 * What attributes tell of an entity's factors: a ridge regression of the factors' means on the entities' bags,
 *
 *   min_G  Σ_e w_e |x_e G − mean_e|² + λ |G|²,    w_e = n_e / (n_e + RELIABLE), n_e its ratings
 *
 * by conjugate gradients (Hestenes & Stiefel 1952), a system for each number of the factors, all at once. What is expected of
 * an entity comes from the others alone, in PARTS parts, so that no entity confirms itself; λ is what expects best.
 */
import type { PlainBags } from '../../data/ratings/side-features.ts';
import type { SideFeatureRows } from '../../data/features/side-rows.ts';
import { priorMeans } from '../../model/ratings/factors.ts';

const PARTS = 5;
/** Ratings with which an entity counts half. */
const RELIABLE = 5;
const LAMBDAS = [3, 30, 300];
const STEPS = 20;

export class AttributeRegression {
  /** [count, N]: expected of each entity by the others; the constant is 1. Zeros until the first fit. */
  readonly expected: Float32Array;
  /** G [rows, N] of all entities. */
  readonly coefficients: Float32Array;
  private readonly bags: SideFeatureRows;
  private readonly n: number;
  private readonly constant: number;
  private readonly parts: Float32Array[];
  private lambda: number | null = null;

  constructor({ bags, rows }: PlainBags, n: number, constant: number) {
    this.bags = bags;
    this.n = n;
    this.constant = constant;
    const count = bags.starts.length - 1;
    this.expected = new Float32Array(count * n);
    for (let e = 0; e < count; e++) this.expected[e * n + constant] = 1;
    this.coefficients = new Float32Array(rows * n);
    this.parts = Array.from({ length: PARTS }, () => new Float32Array(rows * n));
  }

  /**
   * Continues where the last fit ended; yields between its parts, so that the caller may let others run.
   * @param starts [count + 1] whose differences are the entities' ratings
   */
  *fit(means: Float32Array, starts: Uint32Array): Generator<void> {
    const weights = Float64Array.from({ length: starts.length - 1 }, (_, e) => {
      const ratings = starts[e + 1] - starts[e];
      return ratings / (ratings + RELIABLE);
    });
    if (this.lambda === null) {
      const errors: number[] = [];
      for (const lambda of LAMBDAS) {
        for (const part of this.parts) part.fill(0);
        yield* this.fitParts(means, weights, lambda);
        errors.push(this.error(means, weights));
      }
      this.lambda = LAMBDAS[errors.reduce((k, error, i) => (error < errors[k] ? i : k), 0)];
    }
    yield* this.fitParts(means, weights, this.lambda);
    yield* this.solve(this.coefficients, means, weights, this.lambda);
  }

  /** An entity's part goes by its number; those that share a part are far apart in a log. */
  private *fitParts(means: Float32Array, weights: Float64Array, lambda: number): Generator<void> {
    const { n } = this;
    for (const [part, coefficients] of this.parts.entries()) {
      const others = weights.map((weight, e) => (e % PARTS === part ? 0 : weight));
      yield* this.solve(coefficients, means, others, lambda);
      const priors = priorMeans(this.bags, coefficients, n, this.constant);
      for (let e = part; e < weights.length; e += PARTS) this.expected.set(priors.subarray(e * n, e * n + n), e * n);
    }
  }

  private error(means: Float32Array, weights: Float64Array): number {
    const { n, expected } = this;
    return expected.reduce((sum, x, i) => sum + weights[Math.floor(i / n)] * (x - means[i]) ** 2, 0);
  }

  /** Conjugate gradients on (XᵀWX + λI) G = XᵀW means, from the G that is there. */
  private *solve(g: Float32Array, means: Float32Array, weights: Float64Array, lambda: number): Generator<void> {
    const { n, constant } = this;
    const sums = (a: Float64Array, b: Float64Array): Float64Array => {
      const out = new Float64Array(n);
      for (let i = 0; i < a.length; i++) out[i % n] += a[i] * b[i];
      return out;
    };
    const wanted = means.map((x, i) => (i % n === constant ? 0 : x));
    const residual = this.gather(wanted, weights);
    const product = this.product(Float64Array.from(g), weights, lambda);
    for (let i = 0; i < residual.length; i++) residual[i] -= product[i];
    const direction = residual.slice();
    let size = sums(residual, residual);
    for (let step = 0; step < STEPS; step++) {
      const turned = this.product(direction, weights, lambda);
      const along = sums(direction, turned);
      const length = size.map((r, a) => (along[a] > 0 ? r / along[a] : 0));
      for (let i = 0; i < g.length; i++) {
        g[i] += length[i % n] * direction[i];
        residual[i] -= length[i % n] * turned[i];
      }
      const next = sums(residual, residual);
      for (let i = 0; i < direction.length; i++) {
        const before = size[i % n];
        direction[i] = residual[i] + (before > 0 ? next[i % n] / before : 0) * direction[i];
      }
      size = next;
      yield;
    }
  }

  /** XᵀW y [rows, N] of y [count, N]. */
  private gather(y: ArrayLike<number>, weights: Float64Array): Float64Array {
    const { n, bags } = this;
    const out = new Float64Array(this.coefficients.length);
    for (let e = 0; e < weights.length; e++) {
      if (weights[e] === 0) continue;
      for (let at = bags.starts[e]; at < bags.starts[e + 1]; at++) {
        const weight = weights[e] * bags.values[at];
        const row = bags.columns[at] * n;
        for (let a = 0; a < n; a++) out[row + a] += weight * y[e * n + a];
      }
    }
    return out;
  }

  /** (XᵀWX + λI) v. */
  private product(v: Float64Array, weights: Float64Array, lambda: number): Float64Array {
    const { n, bags } = this;
    const y = new Float64Array(weights.length * n);
    for (let e = 0; e < weights.length; e++) {
      if (weights[e] === 0) continue;
      for (let at = bags.starts[e]; at < bags.starts[e + 1]; at++) {
        const row = bags.columns[at] * n;
        for (let a = 0; a < n; a++) y[e * n + a] += bags.values[at] * v[row + a];
      }
    }
    const out = this.gather(y, weights);
    for (let i = 0; i < out.length; i++) out[i] += lambda * v[i];
    return out;
  }
}
