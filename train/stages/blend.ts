/**
 * Fits what the memory weighs beside the transformer: a grid of weights, each ranked on the device for the validation
 * users, all in one pass. The best NDCG@10 wins; among equals the lighter memory, and no memory at all where it does not
 * help. Deterministic.
 */
import type { Split } from '../../data/splits/split.ts';
import type { Blend, BlendWeights, DeviceTransitions } from '../../model/transitions/transitions.ts';
import { type Scored, Scorer, type ScoreQuery } from '../../model/inference/scorer.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { queryOf } from '../evaluation/evaluate.ts';
import { type Metrics, MISS, RankMetrics } from '../evaluation/metrics.ts';

/** From a transformer that leads to one that has hardly been trained. */
const WEIGHTS = [0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.4, 2, 3, 5, 10];
/** ε, in units of 1 / V: m is about a probability. */
const EPSILONS = [1, 5];

/** TargetMetrics that config.json keeps. */
const KEPT = ['NDCG@5', 'NDCG@10', 'NDCG@20', 'HR@5', 'HR@10', 'HR@20', 'MRR'];

export interface FitOptions {
  users: Uint32Array;
  includeSeen?: boolean;
  onProgress?(done: number, total: number): void;
}

export async function fitBlend(
  model: SequenceModel,
  memory: DeviceTransitions,
  parts: Split,
  { users, includeSeen, onProgress }: FitOptions,
): Promise<Blend> {
  const trials: BlendWeights[] = EPSILONS.flatMap((e) =>
    WEIGHTS.map((weight) => ({ memory: weight, epsilon: e / parts.items })),
  );
  const off = { memory: 0, epsilon: 1 / parts.items };
  const scorer = new Scorer(model, { k: 1, blend: { transitions: memory, weights: off }, components: true, trials });
  try {
    const queries = Array.from(users, (u): ScoreQuery => {
      const history = parts.history(u, 'valid');
      return {
        ...queryOf(parts, u, 'valid', model),
        target: parts.validTarget(u),
        exclude: includeSeen ? undefined : history,
      };
    });
    const scored = await scorer.score(queries, (done) => onProgress?.(done, queries.length));
    const figures = (rank: (s: Scored) => number | undefined): Metrics => {
      const ranks = new RankMetrics();
      for (const one of scored) ranks.add([rank(one) ?? MISS]);
      const all = ranks.result();
      return Object.fromEntries(KEPT.map((name) => [name, all[name]]));
    };
    const transformer = figures((s) => s.components?.transformer);
    const memoryAlone = figures((s) => s.components?.transitions);
    let best = { weights: off, figures: transformer };
    trials.forEach((weights, i) => {
      const trial = figures((s) => s.trials?.[i]);
      const [ndcg, most] = [trial['NDCG@10'], best.figures['NDCG@10']];
      if (ndcg > most || (ndcg === most && weights.memory < best.weights.memory)) best = { weights, figures: trial };
    });
    return { ...best.weights, fitted: { users: scored.length, transformer, memory: memoryAlone, blend: best.figures } };
  } finally {
    scorer.dispose();
  }
}
