/** Full ranking of held-out items over the catalogue, on the device. */
import type { Split } from '../data/split.ts';
import { Scorer, type Scored, type ScorerOptions, type ScoreQuery } from '../model/scorer.ts';
import type { SequenceModel } from '../model/sequence-model.ts';
import { ListMetrics, type Metrics, MISS, RankMetrics } from './metrics.ts';

export interface Evaluation {
  protocol: 'leave-one-out';
  split: 'valid' | 'test';
  seen: 'excluded' | 'kept';
  users: number;
  items: number;
  metrics: Metrics;
  /** Figures of what the model blends, each alone: `transformer` and `memory`; empty where there is no memory. */
  parts: Record<string, Metrics>;
  /** Share (0 to 1) of the targets that already stand in the user's history; misses while seen items are excluded. */
  targetsInHistory: number;
}

export interface EvaluateOptions {
  split: 'valid' | 'test';
  /** Keep items of the history among the candidates; excluded by default. */
  includeSeen?: boolean;
  /** Length of the lists, at least 10. */
  k?: number;
  /** Users to evaluate; all with a target by default. */
  users?: Uint32Array;
  /** The memory that the model is blended with, if any. */
  blend?: ScorerOptions['blend'];
  /** Evaluate with this scorer instead of making one. */
  scorer?: Scorer;
  onProgress?(done: number, total: number): void;
  onUser?(user: number, target: number, scored: Scored): void;
}

/** Users whose target of this part exists. */
export function usersWithTarget(parts: Split, part: 'valid' | 'test'): Uint32Array {
  const users: number[] = [];
  for (let u = 0; u < parts.users; u++) if (targetOf(parts, u, part) >= 0) users.push(u);
  return Uint32Array.from(users);
}

const targetOf = (parts: Split, u: number, part: 'valid' | 'test'): number =>
  part === 'valid' ? parts.validTarget(u) : parts.testTarget(u);

const CHUNK = 1024;
/** The list of a user who has seen the whole catalogue. */
const EMPTY = Uint32Array.of(MISS);

/** Ranks each user's target among all items of the catalogue. Ties rank pessimistically; a NaN score throws. */
export async function evaluate(model: SequenceModel, parts: Split, options: EvaluateOptions): Promise<Evaluation> {
  const { split, includeSeen = false } = options;
  const users = (options.users ?? usersWithTarget(parts, split)).filter((u) => targetOf(parts, u, split) >= 0);
  const scorer =
    options.scorer ?? new Scorer(model, { k: Math.max(10, options.k ?? 10), blend: options.blend, parts: true });
  const ranks = new RankMetrics();
  const alone = { transformer: new RankMetrics(), memory: new RankMetrics() };
  const lists = new ListMetrics(popularity(parts));
  let repeated = 0;
  try {
    for (let from = 0; from < users.length; from += CHUNK) {
      const chunk = users.subarray(from, from + CHUNK);
      const queries = Array.from(chunk, (u): ScoreQuery => {
        const history = parts.history(u, split);
        const target = targetOf(parts, u, split);
        if (history.includes(target)) repeated++;
        return { history, times: parts.times(u, split), target, exclude: includeSeen ? undefined : history };
      });
      const scored = await scorer.score(queries, (done) => options.onProgress?.(from + done, users.length));
      scored.forEach((s, i) => {
        ranks.addOne(s.rank);
        if (s.parts) {
          alone.transformer.addOne(s.parts.transformer);
          alone.memory.addOne(s.parts.memory);
        }
        const best = s.items.length > 0 ? s.items.subarray(0, 10) : EMPTY;
        lists.add(best, best.length);
        options.onUser?.(chunk[i], queries[i].target as number, s);
      });
    }
  } finally {
    if (!options.scorer) scorer.dispose();
  }
  return {
    protocol: 'leave-one-out',
    split,
    seen: includeSeen ? 'kept' : 'excluded',
    users: users.length,
    items: parts.items,
    metrics: { ...ranks.result(), ...lists.result() },
    parts: alone.memory.users > 0 ? { transformer: alone.transformer.result(), memory: alone.memory.result() } : {},
    targetsInHistory: users.length > 0 ? repeated / users.length : 0,
  };
}

/** How often each item occurs in the training part. */
function popularity(parts: Split): Uint32Array {
  const counts = new Uint32Array(parts.items);
  for (let u = 0; u < parts.users; u++) for (const item of parts.history(u, 'train')) counts[item]++;
  return counts;
}
