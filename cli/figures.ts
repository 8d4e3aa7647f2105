/** Figures of the simple recommenders, on the same users and candidates as the model's. */
import type { Split } from '../data/split.ts';
import { makeBaselines, rankTargets } from '../train/baselines.ts';
import { type Metrics, RankMetrics } from '../train/metrics.ts';
import type { Output } from './common.ts';

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

/** Ranks the targets of `users` (all with a target by default) by popularity and the two Markov chains. */
export function baselineFigures(
  parts: Split,
  part: 'valid' | 'test',
  seen: Seen,
  users: Uint32Array | null = null,
): BaselineFigures {
  const wanted = users && new Set(users);
  const metrics: Record<string, Metrics> = {};
  let count = 0;
  for (const baseline of makeBaselines(parts)) {
    const { ranks } = rankTargets(parts, part, baseline, { seen, only: wanted });
    count = ranks.length;
    if (count === 0) break;
    const figures = new RankMetrics();
    figures.add(ranks);
    metrics[capitalised(baseline.name)] = figures.result();
  }
  return { metrics, users: count, targetsInHistory: shareInHistory(parts, part, wanted) };
}

function shareInHistory(parts: Split, part: 'valid' | 'test', wanted: Set<number> | null): number {
  let targets = 0;
  let repeats = 0;
  for (let u = 0; u < parts.users; u++) {
    const target = part === 'valid' ? parts.validTarget(u) : parts.testTarget(u);
    if (target < 0 || (wanted && !wanted.has(u))) continue;
    targets++;
    if (parts.history(u, part).includes(target)) repeats++;
  }
  return targets > 0 ? repeats / targets : 0;
}

/** `popularity` stays, `markov` is a name. */
function capitalised(name: string): string {
  return name === 'markov' ? 'Markov' : name;
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
