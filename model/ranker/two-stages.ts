/**
 * Two stages: the scorer retrieves the k′ best items of the catalog, the ranker scores those from the user's states, and
 * both scores together order them. What the first stage has beyond k′ stays behind them in its order.
 */
import type { Ranker } from './ranker.ts';
import { type Ranked, Reranker } from './reranker.ts';
import { rankAmong, requireFinite } from '../inference/ranks.ts';
import { Scorer } from '../inference/scorer.ts';
import type { Scored, ScoreQuery, ScorerOptions } from '../inference/scored.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

/** What evaluates and recommends: a scorer, or two stages. */
export type ListScorer = Pick<Scorer, 'score' | 'setBias' | 'setShift' | 'dispose'>;

/** A ranker, and the weight of what it adds to the first stage's score. */
export interface SecondStage {
  ranker: Ranker;
  weight: number;
}

/** Order of a list by finite scores, best first; among equals the first stage's order. */
export function orderBy(scores: Float32Array | Float64Array): Uint32Array {
  return Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
}

/**
 * A target's rank in a list re-ordered by `scores` (ties and NaN count against it); a target that is not in the list
 * keeps the rank that the first stage gave it.
 */
export function rankBy(items: Uint32Array, scores: ArrayLike<number>, target: number, before: number): number {
  const at = items.subarray(0, scores.length).indexOf(target);
  return at < 0 ? before : rankAmong(scores, scores[at]);
}

export class TwoStages implements ListScorer {
  private readonly first: Scorer;
  private readonly second: Reranker;
  private readonly k: number;
  private readonly candidates: number;
  private readonly weight: number;
  /** Milliseconds so far, by stage, and lists. */
  private readonly spent = { retrieval: 0, ranker: 0, lists: 0 };

  /** @param options of the first stage; k is the length of the lists that come out */
  constructor(model: SequenceModel, { ranker, weight }: SecondStage, options: ScorerOptions) {
    this.k = options.k;
    this.weight = weight;
    this.candidates = Math.min(model.items, ranker.shape.rankerCandidates);
    this.first = new Scorer(model, { ...options, k: Math.max(options.k, this.candidates) });
    this.second = new Reranker(model, ranker, this.candidates);
  }

  setBias(bias: Float32Array): void {
    this.first.setBias(bias);
  }

  setShift(shift: Float32Array): void {
    this.first.setShift(shift);
  }

  async score(queries: readonly ScoreQuery[], onProgress?: (done: number) => void | Promise<void>): Promise<Scored[]> {
    const started = performance.now();
    const retrieved = await this.first.score(queries);
    const between = performance.now();
    const ranked = await this.second.logits(
      queries.map(({ history, times, features }, i) => ({
        history,
        times,
        features,
        candidates: retrieved[i].items.subarray(0, this.candidates),
      })),
      onProgress,
    );
    this.spent.retrieval += between - started;
    this.spent.ranker += performance.now() - between;
    this.spent.lists += queries.length;
    return retrieved.map((one, i) => this.combine(one, ranked[i], queries[i].target));
  }

  /** Milliseconds a list, by stage. */
  costs(): Record<'retrieval' | 'ranker', number> {
    const { retrieval, ranker, lists } = this.spent;
    return { retrieval: retrieval / Math.max(1, lists), ranker: ranker / Math.max(1, lists) };
  }

  private combine(one: Scored, { logits, added }: Ranked, target: number | undefined): Scored {
    const { items, scores, rank } = one;
    const n = logits.length;
    requireFinite(logits, 'scores of its ranker');
    const both = requireFinite(
      Float64Array.from(added, (f, i) => scores[i] + this.weight * f),
      'scores of its two stages',
    );
    const order = orderBy(both);
    const alone = orderBy(logits);
    const rest = Array.from(items.subarray(n));
    // The tail stays below, as far apart as the first stage has it.
    const least = n > 0 ? both[order[n - 1]] - scores[n - 1] : 0;
    const ordered = Float32Array.from(items, (_, i) => (i < n ? both[order[i]] : scores[i] + least));
    const list = (by: Uint32Array): Uint32Array => Uint32Array.from([...Array.from(by, (i) => items[i]), ...rest]);
    const ranked = (by: ArrayLike<number>): number => (target === undefined ? rank : rankBy(items, by, target, rank));
    return {
      ...one,
      rank: ranked(both),
      items: list(order).subarray(0, this.k),
      scores: ordered.subarray(0, this.k),
      probabilities: Float32Array.from(order.subarray(0, this.k), (i) => 1 / (1 + Math.exp(-logits[i]))),
      stages: {
        retrieval: { rank, items: items.subarray(0, this.k) },
        ranker: { rank: ranked(logits), items: list(alone).subarray(0, this.k) },
      },
    };
  }

  dispose(): void {
    this.first.dispose();
    this.second.dispose();
  }
}

/** What scores: two stages where there is a ranker, the first alone where not. */
export function listScorer(
  model: SequenceModel,
  second: SecondStage | null | undefined,
  options: ScorerOptions,
): ListScorer {
  return second ? new TwoStages(model, second, options) : new Scorer(model, options);
}
