/**
 * Fits how much the ranker's logit weighs beside the first stage's score: the weight with the best NDCG@10 on the
 * validation users; among equals the smaller one. What the first stage retrieves is found once.
 */
import type { Split } from '../data/split.ts';
import type { Ranker } from '../model/ranker.ts';
import { type CandidateQuery, Reranker } from '../model/reranker.ts';
import { Scorer, type ScorerOptions, type ScoreQuery } from '../model/scorer.ts';
import type { SequenceModel } from '../model/sequence-model.ts';
import { rankBy } from '../model/two-stages.ts';
import type { Stages } from '../model/ranker.ts';
import { exclusions } from './candidates.ts';
import { queryOf } from './evaluate.ts';
import { type Metrics, MISS, RankMetrics } from './metrics.ts';
import { distinct } from './ranking.ts';

const WEIGHTS = [0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 5];
const KEPT = ['NDCG@5', 'NDCG@10', 'NDCG@20', 'HR@5', 'HR@10', 'HR@20', 'MRR'];

interface Retrieved {
  items: Uint32Array;
  scores: Float32Array;
  /** The first target's, by the first stage. */
  rank: number;
  targets: Uint32Array;
}

export class StageFitter {
  private readonly reranker: Reranker;
  private readonly retrieved: readonly Retrieved[];
  private readonly queries: readonly CandidateQuery[];

  private constructor(reranker: Reranker, retrieved: readonly Retrieved[], queries: readonly CandidateQuery[]) {
    this.reranker = reranker;
    this.retrieved = retrieved;
    this.queries = queries;
  }

  /** Retrieves the candidates of the users' validation targets. */
  static async open(
    model: SequenceModel,
    ranker: Ranker,
    parts: Split,
    options: { users: Uint32Array; includeSeen?: boolean; blend: ScorerOptions['blend'] },
  ): Promise<StageFitter> {
    const k = Math.min(model.items, ranker.shape.rankerCandidates);
    const scorer = new Scorer(model, { k, blend: options.blend });
    const excluded = exclusions(parts, 'valid', options.includeSeen ? 'kept' : 'excluded');
    try {
      const queries = Array.from(options.users, (u): ScoreQuery => {
        const [target] = parts.targets(u, 'valid');
        return { ...queryOf(parts, u, 'valid', model), target, exclude: excluded(u) ?? undefined };
      });
      const scored = await scorer.score(queries);
      const retrieved = scored.map(({ items, scores, rank }, i) => {
        return { items, scores, rank, targets: distinct(parts.targets(options.users[i], 'valid')) };
      });
      const lists = queries.map((q, i): CandidateQuery => ({ ...q, candidates: scored[i].items }));
      return new StageFitter(new Reranker(model, ranker, k), retrieved, lists);
    } finally {
      scorer.dispose();
    }
  }

  /** The weight for the ranker as it is now. */
  async fit(step: number): Promise<Stages> {
    const logits = await this.reranker.logits(this.queries);
    const figures = (by: (logit: number, i: number, one: Retrieved) => number): Metrics => {
      const ranks = new RankMetrics();
      this.retrieved.forEach((one, u) => {
        const scores = Float64Array.from(logits[u], (logit, i) => by(logit, i, one));
        // Of several targets, those beyond the candidates are misses.
        const before = one.targets.length === 1 ? one.rank : MISS;
        ranks.addUser(one.targets.map((target) => rankBy(one.items, scores, target, before)));
      });
      const all = ranks.result();
      return Object.fromEntries(KEPT.map((name) => [name, all[name]]));
    };
    const trials = WEIGHTS.map((weight) => ({
      weight,
      both: figures((logit, i, { scores }) => scores[i] + weight * logit),
    }));
    const [off] = trials;
    const best = trials.reduce((a, b) => (b.both['NDCG@10'] > a.both['NDCG@10'] ? b : a));
    const ranker = figures((logit) => logit);
    const users = this.retrieved.length;
    return { weight: best.weight, step, fitted: { users, retrieval: off.both, ranker, both: best.both } };
  }

  dispose(): void {
    this.reranker.dispose();
  }
}
