/** Metrics of the baselines, on the same users and candidates as the model's. */
import { atOnce, type Pieces } from '../../data/pieces.ts';
import { ColdSplit } from '../../data/splits/cold.ts';
import type { Split } from '../../data/splits/split.ts';
import { type Baseline, quickBaselines } from './baselines.ts';
import { type TargetMetrics, type TrainingFacts, findFacts } from '../evaluation/collector.ts';
import { usersWithTarget } from '../evaluation/evaluate.ts';
import type { Distance } from '../evaluation/list-metrics.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { rankByBaseline } from '../evaluation/ranking.ts';

export type Seen = 'excluded' | 'kept';

export interface BaselineMetrics {
  /** Name → metrics, in printing order. */
  metrics: Record<string, Metrics>;
  /** Users ranked. */
  users: number;
  /** Fraction of their targets that are already in the history. */
  targetsInHistory: number;
}

export interface BaselineOptions {
  seen: Seen;
  users?: Uint32Array | null;
  facts?: TrainingFacts;
  distance?: Distance | null;
  keepLists?: boolean;
}

/** Ranks the targets of `users` (all with a target by default) by a baseline; null if there are none. */
export const rankBaseline = (
  split: Split,
  part: 'valid' | 'test',
  baseline: Baseline,
  options: BaselineOptions,
): TargetMetrics | null => atOnce(rank(split, part, baseline, options));

function rank(
  split: Split,
  part: 'valid' | 'test',
  baseline: Baseline,
  { seen, users, ...options }: BaselineOptions,
): Pieces<TargetMetrics | null> {
  const only = users ? new Set(users) : null;
  return rankByBaseline(split, baseline, { ...options, split: part, seen, only });
}

/** Popularity and the two Markov chains, which training prints beside the model. */
export function* baselineMetrics(
  split: Split,
  part: 'valid' | 'test',
  seen: Seen,
  users: Uint32Array | null = null,
): Pieces<BaselineMetrics> {
  // They cannot score cold items; `evaluate` has a baseline that reads attributes.
  if (split instanceof ColdSplit)
    return { metrics: {}, users: (users ?? usersWithTarget(split, part)).length, targetsInHistory: 0 };
  const facts = yield* findFacts(split);
  const all: BaselineMetrics = { metrics: {}, users: 0, targetsInHistory: 0 };
  for (const baseline of yield* quickBaselines(split)) {
    const ranked = yield* rank(split, part, baseline, { seen, users, facts });
    if (!ranked) break;
    all.metrics[baseline.name] = ranked.metrics;
    all.users = ranked.users;
    all.targetsInHistory = ranked.targetsInHistory;
  }
  return all;
}
