/**
 * Fits what the memory weighs beside the transformer: a grid of weights, each ranked on the device for the validation
 * users, all in one pass. The best NDCG@10 wins; among equals the lighter memory, and no memory at all where it does not
 * help. Deterministic.
 */
import type { Split } from '../data/split.ts';
import type { Blend, BlendWeights, DeviceMemory } from '../model/memory.ts';
import { Scorer, type ScoreQuery } from '../model/scorer.ts';
import type { SequenceModel } from '../model/sequence-model.ts';
import { MISS } from './metrics.ts';

const WEIGHTS = [0.1, 0.2, 0.35, 0.5, 0.65, 0.85, 1.1, 1.5, 2.2];
/** ε, in units of 1 / V: m is about a probability. */
const EPSILONS = [1, 3, 10];

const gain = (rank: number): number => (rank <= 10 && rank !== MISS ? 1 / Math.log2(rank + 1) : 0);

export interface FitOptions {
  users: Uint32Array;
  includeSeen?: boolean;
  onProgress?(done: number, total: number): void;
}

export async function fitBlend(
  model: SequenceModel,
  memory: DeviceMemory,
  parts: Split,
  { users, includeSeen, onProgress }: FitOptions,
): Promise<Blend> {
  const trials: BlendWeights[] = EPSILONS.flatMap((e) =>
    WEIGHTS.map((weight) => ({ memory: weight, epsilon: e / parts.items })),
  );
  const off = { memory: 0, epsilon: 1 / parts.items };
  const scorer = new Scorer(model, { k: 1, blend: { memory, weights: off }, parts: true, trials });
  try {
    const queries = Array.from(users, (u): ScoreQuery => {
      const history = parts.history(u, 'valid');
      return { history, target: parts.validTarget(u), exclude: includeSeen ? undefined : history };
    });
    const scored = await scorer.score(queries, (done) => onProgress?.(done, queries.length));
    const mean = (rank: (s: (typeof scored)[number]) => number): number =>
      scored.reduce((sum, s) => sum + gain(rank(s)), 0) / Math.max(1, scored.length);
    const transformer = mean((s) => s.parts?.transformer ?? MISS);
    let best: { weights: BlendWeights; ndcg: number } = { weights: off, ndcg: transformer };
    trials.forEach((weights, i) => {
      const ndcg = mean((s) => s.trials?.[i] ?? MISS);
      if (ndcg > best.ndcg || (ndcg === best.ndcg && weights.memory < best.weights.memory)) best = { weights, ndcg };
    });
    const fitted = {
      users: scored.length,
      transformer,
      memory: mean((s) => s.parts?.memory ?? MISS),
      blend: best.ndcg,
    };
    return { ...best.weights, fitted };
  } finally {
    scorer.dispose();
  }
}
