/** Figures of the simple recommenders, on the same users and candidates as the model's. */
import { ColdSplit } from '../data/cold.ts';
import type { Split } from '../data/split.ts';
import { type Baseline, quickBaselines } from '../train/baselines.ts';
import { type Figures, HEADLINES, type Slices, type TrainingFacts, trainingFacts } from '../train/collector.ts';
import { usersWithTarget } from '../train/evaluate.ts';
import type { Distance } from '../train/list-metrics.ts';
import type { Metrics } from '../train/metrics.ts';
import { evaluateBaseline } from '../train/ranking.ts';
import type { Output } from './common.ts';
import { formatCount, formatFigure, table } from './ui.ts';

export type Seen = 'excluded' | 'kept';

export interface BaselineFigures {
  /** Name → figures, in the order to print. */
  metrics: Record<string, Metrics>;
  /** Users ranked. */
  users: number;
  /** Share (0 to 1) of their targets that already stand in the history. */
  targetsInHistory: number;
}

/** The columns of the tables. */
export const COLUMNS = ['NDCG@5', 'NDCG@10', 'NDCG@20', 'HR@5', 'HR@10', 'HR@20', 'MRR'];

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
): Figures | null {
  const only = users ? new Set(users) : null;
  return evaluateBaseline(parts, baseline, { split: part, seen, only, facts, distance });
}

/** Popularity and the two Markov chains: what a training prints beside the model. */
export function baselineFigures(
  parts: Split,
  part: 'valid' | 'test',
  seen: Seen,
  users: Uint32Array | null = null,
): BaselineFigures {
  // They know nothing of cold items; `evaluate` has a baseline that reads attributes.
  if (parts instanceof ColdSplit)
    return { metrics: {}, users: (users ?? usersWithTarget(parts, part)).length, targetsInHistory: 0 };
  const facts = trainingFacts(parts);
  const all: BaselineFigures = { metrics: {}, users: 0, targetsInHistory: 0 };
  for (const baseline of quickBaselines(parts)) {
    const figures = rankBaseline(parts, part, baseline, { seen, users, facts });
    if (!figures) break;
    all.metrics[baseline.name] = figures.metrics;
    all.users = figures.users;
    all.targetsInHistory = figures.targetsInHistory;
  }
  return all;
}

const KINDS: Record<string, string> = {
  historyLength: 'history of',
  itemPopularity: 'targets of the',
  users: 'users',
};
const GROUPS: Record<string, string> = { cold: 'cold (nothing to learn from)' };

/** The headline figures of each group with users in it; ways to look at it that tell nothing apart are left out. */
export function slicesTable(slices: Slices): string {
  const rows: (string | number)[][] = [];
  for (const [kind, groups] of Object.entries(slices)) {
    if (Object.keys(groups).length < 2) continue;
    for (const [name, slice] of Object.entries(groups)) {
      const label = `${KINDS[kind] ?? kind} ${GROUPS[name] ?? name}${kind === 'historyLength' ? ' events' : ''}`;
      rows.push([label, formatCount(slice.users), ...HEADLINES.map((figure) => formatFigure(slice[figure]))]);
    }
  }
  return rows.length > 0 ? table(['', 'users', ...HEADLINES], rows) : '';
}

/** Says how many targets no recommender can hit while seen items are excluded. */
export function tellRepeats(share: number, seen: Seen, out: Output): void {
  if (share === 0) return;
  const percent = `${(100 * share).toFixed(1)} %`;
  if (seen === 'kept') {
    out.note(`${percent} of the targets already stand in the user's history; seen items are kept, so they count.`);
    return;
  }
  const advice = share > 0.05 ? ' Where people come back for the same things, use --include-seen.' : '';
  out.note(
    `${percent} of the targets already stand in the user's history: misses, since seen items are excluded.${advice}`,
  );
}
