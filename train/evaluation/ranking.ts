/** Ranking by scores on the host, by which baselines are evaluated under the same rules as a model. */
import type { Split } from '../../data/splits/split.ts';
import { firstNonFinite, rankAmong } from '../../model/inference/ranks.ts';
import type { Baseline } from '../baselines/baselines.ts';
import { exclusions } from './candidates.ts';
import { Collector, type CollectorOptions, type TargetMetrics } from './collector.ts';
import { MISS } from './metrics.ts';

export interface Ranking {
  /** users with a target, in order */
  users: Uint32Array;
  /** 1-based rank of each user's first target; MISS if it was excluded as seen */
  ranks: Uint32Array;
  /** users whose target is already in their history: misses while seen items are excluded */
  repeats: number;
}

export interface RankOptions {
  seen: 'excluded' | 'kept';
  /** Restricts the users; all with a target by default. */
  only?: ReadonlySet<number> | null;
}

/** Length of a list. */
const LISTED = 10;

/**
 * Ranks each user's first held-out target. Ties rank pessimistically: every other candidate with the target's score
 * ranks above it. With seen items excluded, the items of the history are not candidates.
 *
 * @throws Error if a score is NaN or infinite
 */
export function rankTargets(split: Split, part: 'valid' | 'test', baseline: Baseline, options: RankOptions): Ranking {
  const users: number[] = [];
  const firsts: number[] = [];
  let repeats = 0;
  visitRanks(split, part, baseline, options, (user, targets, ranks) => {
    users.push(user);
    firsts.push(ranks[0]);
    if (split.history(user, part).includes(targets[0])) repeats++;
  });
  return { users: Uint32Array.from(users), ranks: Uint32Array.from(firsts), repeats };
}

/** A baseline's metrics under the split's protocol; null if no user has a target. */
export function evaluateBaseline(
  split: Split,
  baseline: Baseline,
  { seen, only, ...options }: RankOptions & CollectorOptions,
): TargetMetrics | null {
  const collector = new Collector(split, options);
  let users = 0;
  visitRanks(split, options.split, baseline, { seen, only }, (user, targets, ranks, list) => {
    collector.add(user, targets, ranks, list);
    users++;
  });
  return users > 0 ? collector.result() : null;
}

type Visit = (user: number, targets: Uint32Array, ranks: number[], list: Uint32Array) => void;

/** Calls `visit` for every user with targets: the distinct targets, their ranks, and the best items. */
function visitRanks(
  split: Split,
  part: 'valid' | 'test',
  baseline: Baseline,
  { seen, only }: RankOptions,
  visit: Visit,
): void {
  const excludedOf = exclusions(split, part, seen);
  const scores = new Float64Array(split.items);
  for (let u = 0; u < split.users; u++) {
    const targets = distinct(split.targets(u, part));
    if (targets.length === 0 || (only && !only.has(u))) continue;
    const history = split.history(u, part);
    baseline.scores(history, scores);
    const own = Array.from(targets, (target) =>
      seen === 'excluded' && history.includes(target) ? Number.NEGATIVE_INFINITY : scores[target],
    );
    const broken = firstNonFinite(scores);
    if (broken >= 0) throw new Error(`baselines: a score of ${baseline.name}, user ${u} is ${scores[broken]}`);
    for (const item of excludedOf(u) ?? []) scores[item] = Number.NEGATIVE_INFINITY;
    visit(
      u,
      targets,
      own.map((score) => rankOf(score, scores)),
      bestOf(scores),
    );
  }
}

/** Distinct values in order of first appearance. */
export function distinct(rows: Uint32Array): Uint32Array {
  return rows.length < 2 ? rows : Uint32Array.from(new Set(rows));
}

/** The target's rank among the candidates; a target that is not a candidate is a miss. */
function rankOf(own: number, scores: Float64Array): number {
  return own === Number.NEGATIVE_INFINITY ? MISS : rankAmong(scores, own);
}

/** The best candidates, best first; ties by the lower row. */
function bestOf(scores: Float64Array): Uint32Array {
  const rows = new Uint32Array(LISTED);
  let n = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i];
    if (score === Number.NEGATIVE_INFINITY || (n === LISTED && score <= scores[rows[n - 1]])) continue;
    let at = n < LISTED ? n++ : n - 1;
    for (; at > 0 && scores[rows[at - 1]] < score; at--) rows[at] = rows[at - 1];
    rows[at] = i;
  }
  return rows.subarray(0, n).slice();
}
