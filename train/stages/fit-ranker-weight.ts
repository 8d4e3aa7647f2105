/**
 * Fits the weight of what the ranker adds to the first stage's score: the weight whose gain in NDCG@10 on the
 * validation users, less its standard error (paired over users), is the largest; among equals the smaller one. So weights
 * whose lead may be chance lose to smaller ones, and where no gain is more than its error the weight is 0. The candidates
 * of the first stage are retrieved once.
 */
import type { Split } from '../../data/splits/split.ts';
import type { Ranker } from '../../model/ranker/ranker.ts';
import { type CandidateQuery, type Ranked, Reranker } from '../../model/ranker/reranker.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { ScorerOptions, ScoreQuery } from '../../model/inference/scored.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { rankBy } from '../../model/ranker/two-stages.ts';
import type { Stages } from '../../model/ranker/store.ts';
import { exclusions } from '../evaluation/candidates.ts';
import { splitQuery } from '../../model/inference/query.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import { metricsAt, type Metrics, MISS, RankMetrics } from '../evaluation/metrics.ts';
import { distinct } from '../evaluation/ranking.ts';
import { gainOf } from '../evaluation/statistics.ts';

const WEIGHTS = [0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 5];
const KEPT = ['NDCG@5', 'NDCG@10', 'NDCG@20', 'HR@5', 'HR@10', 'HR@20', 'MRR'];

interface Retrieved {
  items: Uint32Array;
  scores: Float32Array;
  /** The first target's, by the first stage. */
  rank: number;
  targets: Uint32Array;
}

interface Judged {
  metrics: Metrics;
  /** NDCG@10 of each user. */
  gains: Float64Array;
}

export class RankerWeightFitter {
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
    split: Split,
    options: { users: Uint32Array; includeSeen?: boolean; blend: ScorerOptions['blend']; pause?(): Promise<void> },
  ): Promise<RankerWeightFitter> {
    const k = Math.min(model.items, ranker.shape.rankerCandidates);
    const scorer = new Scorer(model, { k, blend: options.blend });
    const excluded = exclusions(split, 'valid', options.includeSeen ? 'kept' : 'excluded');
    try {
      const queries = Array.from(options.users, (u): ScoreQuery => {
        const [target] = split.targets(u, 'valid');
        const query = splitQuery(split, u, 'valid', model.settings.window, validatedAt(model.settings));
        return { ...query, target, exclude: excluded(u) ?? undefined };
      });
      const scored = await scorer.score(queries, options.pause);
      const retrieved = scored.map(({ items, scores, rank }, i) => {
        return { items, scores, rank, targets: distinct(split.targets(options.users[i], 'valid')) };
      });
      const lists = queries.map((q, i): CandidateQuery => ({ ...q, candidates: scored[i].items }));
      return new RankerWeightFitter(new Reranker(model, ranker, k), retrieved, lists);
    } finally {
      scorer.dispose();
    }
  }

  /** The weight for the ranker as it is now. @param pause awaited between pieces of the work; it may throw to stop */
  async fit(step: number, pause?: () => Promise<void>): Promise<Stages> {
    const ranked = await this.reranker.logits(this.queries, pause);
    const judge = (by: (i: number, of: Ranked, one: Retrieved) => number): Judged => {
      const ranks = new RankMetrics();
      const gains = new Float64Array(this.retrieved.length);
      this.retrieved.forEach((one, u) => {
        const scores = Float64Array.from(ranked[u].logits, (_, i) => by(i, ranked[u], one));
        // Of several targets, those beyond the candidates are misses.
        const before = one.targets.length === 1 ? one.rank : MISS;
        const own = one.targets.map((target) => rankBy(one.items, scores, target, before)).sort();
        ranks.addUser(own);
        gains[u] = metricsAt(10, own, own.length).NDCG;
      });
      const all = ranks.result();
      return { metrics: Object.fromEntries(KEPT.map((name) => [name, all[name]])), gains };
    };
    const trials: ({ weight: number } & Judged)[] = [];
    for (const weight of WEIGHTS) {
      trials.push({ weight, ...judge((i, { added }, { scores }) => scores[i] + weight * added[i]) });
      await pause?.();
    }
    const [off] = trials;
    const gains = trials.map((trial) => gainOf(off.gains, trial.gains));
    const least = gains.map(({ mean, error }) => mean - error);
    const best = least.reduce((k, value, i) => (value > least[k] ? i : k), 0);
    const users = this.retrieved.length;
    const ranker = judge((i, { logits }) => logits[i]).metrics;
    const fitted = { users, retrieval: off.metrics, ranker, both: trials[best].metrics, error: gains[best].error };
    return { weight: trials[best].weight, step, fitted };
  }

  dispose(): void {
    this.reranker.dispose();
  }
}
