/**
 * Stage 4: what segments of users like (model/transitions/segment-prior.ts), learned from the training events, and how much
 * that counts for users of whom the model knows few events:
 *
 *   κ, strength   by NDCG@10 of the first events of users, without their own events in the counts
 *   weight(n)     by NDCG@10 of the validation targets from the last n events before them; 0 where the gain is not more
 *                 than one standard error, paired over users
 */
import type { Bag } from '../../data/features/encoder.ts';
import { ColdSplit } from '../../data/splits/cold.ts';
import type { Split } from '../../data/splits/split.ts';
import { rankAmong } from '../../model/inference/ranks.ts';
import {
  type GroupCounts,
  groupScores,
  loadSegmentPrior,
  logPopularity,
  type PriorSettings,
  saveSegmentPrior,
  type SegmentPrior,
} from '../../model/transitions/segment-prior.ts';
import { splitQuery } from '../../model/inference/query.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { Scored, ScoreQuery, ScorerOptions } from '../../model/inference/scored.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { metricsAt, RankMetrics } from '../evaluation/metrics.ts';
import { distinct } from '../evaluation/ranking.ts';
import { gainOf } from '../evaluation/statistics.ts';
import { type RankingStage, stillFits } from './training-run.ts';

const SHRINKAGES = [10, 100, 1000, 10000];
const STRENGTHS = [0, 0.25, 0.5, 0.75, 1];
const EVENTS = [1, 2, 4, 8, 16];
const WEIGHTS = [0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1];
/** Events of a user that stand for what a cold-start user will do. */
const FIRST = 10;
/** Users and scores that fitting looks at, at most. */
const MOST_USERS = 500;
const MOST_SCORES = 2 ** 21;
/** Milliseconds set aside for it; a tenth of the time where that is less. */
const RESERVE = 15_000;

export const segmentPrior: RankingStage = {
  name: 'segment prior',

  applies: ({ split, rankerOnly }) =>
    !rankerOnly && split.sideSchema.users !== undefined && !(split instanceof ColdSplit),

  estimate: (_, { left }) => Math.min(RESERVE, left / 10),

  async load(run) {
    const { side } = run.plan.split;
    const prior = side && (await loadSegmentPrior(run.files, side.encoder.rows));
    return prior !== null && stillFits(run, prior.settings);
  },

  async run(run, budget) {
    const { plan, encoder, includeSeen } = run;
    run.report('blending', 0);
    const pause = () => budget.pause(() => run.report('blending'));
    const { split, validationUsers, chosen } = plan;
    const step = run.result?.bestStep ?? undefined;
    if (chosen) {
      // Without settings there is none, as in the model that chose.
      if (chosen.prior) run.prior = { counts: await countGroups(split, pause), settings: { ...chosen.prior, step } };
      return;
    }
    const prior = await fitSegmentPrior(encoder, split, validationUsers, run.scoring(), includeSeen, pause);
    prior.settings.step = step;
    run.prior = prior;
  },

  async save({ files, prior }) {
    if (prior) await saveSegmentPrior(files, prior);
  },
};

export async function countGroups(split: Split, pause: Pause = async () => {}): Promise<GroupCounts> {
  const { side } = split;
  const rows = side?.encoder.rows ?? 0;
  const items = new Float32Array(split.items);
  const counts = Array.from({ length: rows }, () => new Map<number, number>());
  for (let u = 0; u < split.users; u++) {
    const bag = side?.userRow(u);
    for (const item of split.history(u, 'train')) {
      items[item]++;
      for (let e = 0; bag && e < bag.columns.length; e++) {
        const group = counts[bag.columns[e]];
        group.set(item, (group.get(item) ?? 0) + bag.values[e]);
      }
    }
    await pause();
  }
  const size = counts.reduce((sum, group) => sum + group.size, 0);
  const out = { starts: new Uint32Array(rows + 1), columns: new Uint32Array(size), values: new Float32Array(size) };
  let at = 0;
  for (const [row, group] of counts.entries()) {
    for (const [item, count] of [...group].sort(([a], [b]) => a - b)) {
      out.columns[at] = item;
      out.values[at++] = count;
    }
    out.starts[row + 1] = at;
    await pause();
  }
  return { items, ...out };
}

type Pause = () => Promise<void>;

/**
 * @param users those of the validation
 * @param blend as the model will be served
 * @param pause awaited between pieces of the work; it may throw to stop
 */
export async function fitSegmentPrior(
  model: SequenceModel,
  split: Split,
  users: Uint32Array,
  blend: ScorerOptions['blend'],
  includeSeen = false,
  pause: Pause = async () => {},
): Promise<SegmentPrior> {
  const counts = await countGroups(split, pause);
  const some = users.slice(0, Math.max(16, Math.min(MOST_USERS, Math.floor(MOST_SCORES / split.items))));
  const { shrinkage, strength, fitted } = await fitGroups(split, counts, some, pause);
  const settings: PriorSettings = { shrinkage, strength, weights: [], fitted };
  settings.weights = await fitWeights(model, split, { counts, settings }, some, blend, includeSeen, pause);
  return { counts, settings };
}

function bagOf(split: Split, u: number): Bag {
  const row = split.side?.userRow(u);
  return row ? Array.from(row.columns, (column, e) => [column, row.values[e]]) : [];
}

async function fitGroups(split: Split, counts: GroupCounts, users: Uint32Array, pause: Pause) {
  const trials = SHRINKAGES.flatMap((shrinkage) =>
    STRENGTHS.map((strength) => ({ shrinkage, strength, ranks: new RankMetrics() })),
  );
  for (const u of users) {
    await pause();
    const history = split.history(u, 'train');
    if (history.length === 0) continue;
    const own = new Map<number, number>();
    for (const item of history) own.set(item, (own.get(item) ?? 0) + 1);
    const logP = logPopularity(Float32Array.from(counts.items, (count, v) => count - (own.get(v) ?? 0)));
    const targets = distinct(history.subarray(0, FIRST));
    const bag = bagOf(split, u);
    for (const shrinkage of SHRINKAGES) {
      const groups = groupScores(counts, logP, bag, shrinkage, own);
      for (const trial of trials) {
        if (trial.shrinkage !== shrinkage) continue;
        const scores = logP.map((p, v) => p + trial.strength * groups[v]);
        trial.ranks.addUser(ranksOf(scores, targets));
      }
    }
  }
  const scored = trials.map((trial) => {
    return { ...trial, ndcg: trial.ranks.users > 0 ? trial.ranks.result()['NDCG@10'] : 0 };
  });
  // Among equals the first: popularity.
  const best = scored.reduce((a, b) => (b.ndcg > a.ndcg ? b : a));
  const { shrinkage, strength, ndcg } = best;
  return {
    shrinkage,
    strength,
    fitted: { users: users.length, popularity: scored[0].ndcg, groups: ndcg },
  };
}

function ranksOf(scores: Float32Array, targets: ArrayLike<number>): Uint32Array {
  return Uint32Array.from(targets, (t) => rankAmong(scores, scores[t]));
}

async function fitWeights(
  model: SequenceModel,
  split: Split,
  { counts, settings }: SegmentPrior,
  users: Uint32Array,
  blend: ScorerOptions['blend'],
  includeSeen: boolean,
  pause: Pause,
): Promise<PriorSettings['weights']> {
  // Scores of the whole catalog are read back; for a catalog that large, events alone decide.
  if (split.items > MOST_SCORES / 2) return [];
  const logP = logPopularity(counts.items);
  const scorer = new Scorer(model, { k: 1, blend, scoresFrom: 0 });
  const weights: PriorSettings['weights'] = [];
  try {
    for (const events of EVENTS) {
      const eligible = users.filter((u) => split.history(u, 'valid').length >= events);
      if (eligible.length === 0) break;
      const queries = Array.from(eligible, (u): ScoreQuery => {
        const { history, times, features } = splitQuery(split, u, 'valid', events, validatedAt(model.settings));
        const first = history.length - events;
        return { history: history.subarray(first), times: times?.subarray(first), features };
      });
      /** NDCG@10 of each user, by weight. */
      const trials = WEIGHTS.map((): number[] => []);
      const scored: Scored[] = await scorer.score(queries, pause);
      for (const [i, { allScores }] of scored.entries()) {
        await pause();
        const u = eligible[i];
        const groups = groupScores(counts, logP, bagOf(split, u), settings.shrinkage);
        const seen = new Set(includeSeen ? [] : queries[i].history);
        const targets = distinct(split.targets(u, 'valid')).filter((item) => !seen.has(item));
        if (targets.length === 0) continue;
        WEIGHTS.forEach((weight, w) => {
          const scores = (allScores as Float32Array).map((score, v) =>
            seen.has(v) ? Number.NEGATIVE_INFINITY : score + weight * (logP[v] + settings.strength * groups[v]),
          );
          const ranks = ranksOf(scores, targets);
          trials[w].push(metricsAt(10, ranks, ranks.length).NDCG);
        });
      }
      // Where all users return to items that they had, nothing is left to predict.
      if (trials[0].length === 0) continue;
      const gains = trials.map((trial) => gainOf(trials[0], trial));
      const best = gains.reduce((a, gain, i) => (gain.mean > gains[a].mean ? i : a), 0);
      weights.push([events, gains[best].mean > gains[best].error ? WEIGHTS[best] : 0]);
    }
  } finally {
    scorer.dispose();
  }
  // More events never give the prior more weight.
  let most = 0;
  for (const pair of weights.reverse()) {
    most = Math.max(most, pair[1]);
    pair[1] = most;
  }
  return weights.reverse();
}
