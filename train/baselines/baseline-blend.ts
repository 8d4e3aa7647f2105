/** The strongest simple recommender: a windowed Markov chain and EASE, blended with weights chosen on validation. */
import type { Split } from '../../data/splits/split.ts';
import type { Baseline, ChainOf } from './baselines.ts';
import { easeRows } from './ease.ts';

/** The settings tried on validation. In a blend, both components are best smoother than alone. */
const CHAINS = [0.6, 0.8].flatMap((decay) => [0.15, 0.3, 0.5].map((damping) => ({ last: 10, decay, damping })));
const EASES = [
  { last: 20, decay: 0.9 },
  { last: 100, decay: 0.95 },
];
const SHARES = Array.from({ length: 11 }, (_, i) => i / 10);
/** Most validation users, evenly spaced. */
const FITTED = 1000;

export interface BaselineWeights {
  chain: (typeof CHAINS)[number];
  ease: (typeof EASES)[number];
  /** Of EASE, 0 to 1. */
  share: number;
}

/**
 * The scores of both components, standardized over the catalog and added with weights 1 − share and share. The share and
 * the settings of each component have the best NDCG@10 on the validation targets; the test targets play no part.
 */
export function baselineBlend(
  split: Split,
  chain: ChainOf,
  easeWeights: Float32Array,
  seen: 'excluded' | 'kept',
): Baseline {
  const weights = fitBaselineBlend(split, chain, easeWeights, seen);
  const a = chain(weights.chain);
  const b = easeRows(easeWeights, split.items, weights.ease);
  const second = new Float64Array(split.items);
  return {
    name: 'windowed Markov + EASE',
    scores(history, out) {
      a(history, out);
      b(history, second);
      standardize(out);
      standardize(second);
      for (let i = 0; i < out.length; i++) out[i] = (1 - weights.share) * out[i] + weights.share * second[i];
    },
  };
}

/** The combination with the best NDCG@10 of the first validation target; the first one wins ties. */
export function fitBaselineBlend(
  split: Split,
  chain: ChainOf,
  easeWeights: Float32Array,
  seen: 'excluded' | 'kept',
): BaselineWeights {
  const users: number[] = [];
  for (let u = 0; u < split.users; u++) if (split.validTarget(u) >= 0) users.push(u);
  const stride = Math.max(1, users.length / FITTED);
  const V = split.items;
  const chains = CHAINS.map((weights) => ({ scores: chain(weights), values: new Float64Array(V) }));
  const eases = EASES.map((weights) => ({ scores: easeRows(easeWeights, V, weights), values: new Float64Array(V) }));
  const gains = new Float64Array(CHAINS.length * EASES.length * SHARES.length);
  for (let at = 0; at < users.length; at += stride) {
    const u = users[Math.floor(at)];
    const history = split.history(u, 'valid');
    const target = split.validTarget(u);
    const candidate = new Uint8Array(V).fill(1);
    if (seen === 'excluded') for (const item of history) candidate[item] = 0;
    if (candidate[target] === 0) continue;
    for (const { scores, values } of [...chains, ...eases]) {
      scores(history, values);
      standardize(values);
    }
    let g = 0;
    for (const { values: a } of chains) {
      for (const { values: b } of eases) {
        for (const share of SHARES) gains[g++] += ndcgOf(a, b, share, target, candidate);
      }
    }
  }
  const best = gains.reduce((top, gain, g) => (gain > gains[top] ? g : top), 0);
  return {
    chain: CHAINS[Math.floor(best / (EASES.length * SHARES.length))],
    ease: EASES[Math.floor(best / SHARES.length) % EASES.length],
    share: SHARES[best % SHARES.length],
  };
}

/** NDCG@10 of a single target; ties and NaN count against it. */
function ndcgOf(a: Float64Array, b: Float64Array, share: number, target: number, candidate: Uint8Array): number {
  const own = (1 - share) * a[target] + share * b[target];
  let rank = 0;
  for (let i = 0; i < a.length && rank <= 10; i++) {
    if (candidate[i] === 1 && !((1 - share) * a[i] + share * b[i] < own)) rank++;
  }
  return rank <= 10 ? 1 / Math.log2(rank + 1) : 0;
}

/** Mean 0 and variance 1; equal values become 0. */
function standardize(values: Float32Array | Float64Array): void {
  let mean = 0;
  for (let i = 0; i < values.length; i++) mean += values[i];
  mean /= values.length;
  let variance = 0;
  for (let i = 0; i < values.length; i++) variance += (values[i] - mean) ** 2;
  const scale = variance > 0 ? 1 / Math.sqrt(variance / values.length) : 0;
  for (let i = 0; i < values.length; i++) values[i] = (values[i] - mean) * scale;
}
