/**
 * What the shared weights w do with the change Δ that a round comes to:
 *
 *   average   w ← w + η Δ                                         McMahan et al., AISTATS 2017, for η = 1
 *   adam      m ← β₁ m + (1 − β₁) Δ,  v ← β₂ v + (1 − β₂) Δ²,
 *             w ← w + η m / (√v + τ)                              FedAdam; Reddi et al., ICLR 2021, algorithm 2
 */
import type { WeightValues } from './clip.ts';
import type { FederationTerms } from './terms.ts';

const BETA1 = 0.9;
const BETA2 = 0.99;
/** A change far below it moves the weights by η Δ / τ alone: what is small is not made large, however rare it is. */
const TAU = 1e-4;

/** Of `adam`; all 0 at first, and unused by `average`. */
export interface ServerMoments {
  m: WeightValues;
  v: WeightValues;
}

export const zerosLike = (values: ReadonlyMap<string, Float32Array>): WeightValues =>
  new Map(Array.from(values, ([name, { length }]) => [name, new Float32Array(length)]));

/** Takes a step, in place. */
export function serverStep(
  weights: WeightValues,
  moments: ServerMoments,
  change: ReadonlyMap<string, Float32Array>,
  { server, serverRate }: Pick<FederationTerms, 'server' | 'serverRate'>,
): void {
  for (const [name, w] of weights) {
    const delta = change.get(name) as Float32Array;
    if (server === 'average') {
      for (let i = 0; i < w.length; i++) w[i] += serverRate * delta[i];
      continue;
    }
    const [m, v] = [moments.m.get(name) as Float32Array, moments.v.get(name) as Float32Array];
    for (let i = 0; i < w.length; i++) {
      m[i] = BETA1 * m[i] + (1 - BETA1) * delta[i];
      v[i] = BETA2 * v[i] + (1 - BETA2) * delta[i] * delta[i];
      w[i] += (serverRate * m[i]) / (Math.sqrt(v[i]) + TAU);
    }
  }
}
