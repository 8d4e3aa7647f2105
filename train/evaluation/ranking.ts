/** Ranking by scores on the host, by which baselines are evaluated under the same rules as a model. */
import { atOnce, type Pieces } from '../../data/pieces.ts';
import type { Split } from '../../data/splits/split.ts';
import { firstNonFinite, rankAmong } from '../../model/inference/ranks.ts';
import type { Baseline } from '../baselines/baselines.ts';
import { exclusions } from './candidates.ts';
import { Collector, type CollectorOptions, type TargetMetrics } from './collector.ts';
import { MISS } from './metrics.ts';

export interface RankOptions {
  seen: 'excluded' | 'kept';
  /** Restricts the users; all with a target by default. */
  only?: ReadonlySet<number> | null;
}

/** Length of a list. */
const LISTED = 10;

/**
 * A baseline's metrics under the split's protocol; null if no user has a target. Ties rank pessimistically: every other
 * candidate with the target's score ranks above it. With seen items excluded, the items of the history are not candidates.
 *
 * @throws Error if a score is NaN or infinite
 */
export const evaluateBaseline = (
  split: Split,
  baseline: Baseline,
  options: RankOptions & CollectorOptions,
): TargetMetrics | null => atOnce(rankByBaseline(split, baseline, options));

/** As `evaluateBaseline`, a user at a time. */
export function* rankByBaseline(
  split: Split,
  baseline: Baseline,
  { seen, only, ...options }: RankOptions & CollectorOptions,
): Pieces<TargetMetrics | null> {
  const part = options.split;
  const collector = new Collector(split, options);
  const excludedOf = exclusions(split, part, seen);
  const scores = new Float64Array(split.items);
  let users = 0;
  for (let u = 0; u < split.users; u++) {
    if (only && !only.has(u)) continue;
    const targets = distinct(split.targets(u, part));
    if (targets.length === 0) continue;
    const history = split.history(u, part);
    baseline.scores(history, scores);
    const own = Array.from(targets, (target) =>
      seen === 'excluded' && history.includes(target) ? Number.NEGATIVE_INFINITY : scores[target],
    );
    const broken = firstNonFinite(scores);
    if (broken >= 0) throw new Error(`baselines: a score of ${baseline.name}, user ${u} is ${scores[broken]}`);
    for (const item of excludedOf(u) ?? []) scores[item] = Number.NEGATIVE_INFINITY;
    const ranks = own.map((score) => rankOf(score, scores));
    collector.add(u, targets, ranks, bestOf(scores));
    users++;
    yield;
  }
  return users > 0 ? collector.result() : null;
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
