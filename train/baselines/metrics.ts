/** TargetMetrics of the simple recommenders, on the same users and candidates as the model's. */
import { ColdSplit } from '../../data/splits/cold.ts';
import type { Split } from '../../data/splits/split.ts';
import { type Baseline, quickBaselines } from './baselines.ts';
import { type TargetMetrics, type TrainingFacts, trainingFacts } from '../evaluation/collector.ts';
import { usersWithTarget } from '../evaluation/evaluate.ts';
import type { Distance } from '../evaluation/list-metrics.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { evaluateBaseline } from '../evaluation/ranking.ts';

export type Seen = 'excluded' | 'kept';

export interface BaselineMetrics {
  /** Name → figures, in the order to print. */
  metrics: Record<string, Metrics>;
  /** Users ranked. */
  users: number;
  /** Share (0 to 1) of their targets that already stand in the history. */
  targetsInHistory: number;
}

export interface BaselineOptions {
  seen: Seen;
  users?: Uint32Array | null;
  facts?: TrainingFacts;
  distance?: Distance | null;
}

/** Ranks the targets of `users` (all with a target by default) by a baseline; null where there are none. */
export function rankBaseline(
  parts: Split,
  part: 'valid' | 'test',
  baseline: Baseline,
  { seen, users, distance, facts }: BaselineOptions,
): TargetMetrics | null {
  const only = users ? new Set(users) : null;
  return evaluateBaseline(parts, baseline, { split: part, seen, only, facts, distance });
}

/** Popularity and the two Markov chains: what a training prints beside the model. */
export function baselineMetrics(
  parts: Split,
  part: 'valid' | 'test',
  seen: Seen,
  users: Uint32Array | null = null,
): BaselineMetrics {
  // They know nothing of cold items; `evaluate` has a baseline that reads attributes.
  if (parts instanceof ColdSplit)
    return { metrics: {}, users: (users ?? usersWithTarget(parts, part)).length, targetsInHistory: 0 };
  const facts = trainingFacts(parts);
  const all: BaselineMetrics = { metrics: {}, users: 0, targetsInHistory: 0 };
  for (const baseline of quickBaselines(parts)) {
    const figures = rankBaseline(parts, part, baseline, { seen, users, facts });
    if (!figures) break;
    all.metrics[baseline.name] = figures.metrics;
    all.users = figures.users;
    all.targetsInHistory = figures.targetsInHistory;
  }
  return all;
}
