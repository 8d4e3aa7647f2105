/**
 * Stage 3: fits how much item transitions weigh in the scores: a grid of weights, each ranked on the device for the
 * validation users, all in one pass. It goes from the transformer alone to the transitions alone. The best criterion
 * (evaluation/metrics.ts) wins; among equals the smaller weight, and no transitions at all where they do not help. Deterministic.
 */
import type { Split } from '../../data/splits/split.ts';
import type { Blend, BlendWeights, DeviceTransitions } from '../../model/transitions/transitions.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { Scored, ScoreQuery } from '../../model/inference/scored.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { loadConfig, saveBlend } from '../../model/storage/config.ts';
import { splitQuery } from '../../model/inference/query.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import { criterionOf, type Metrics, MISS, RankMetrics } from '../evaluation/metrics.ts';
import { blendTrials, DECIDES, unblended } from '../evaluation/blend-trials.ts';
import { timeUsers } from '../loop/timed-users.ts';
import { type RankingStage, stillFits, type TrainingRun } from './training-run.ts';
import { transitions as stage } from './transitions.ts';

/** Metrics that config.json keeps. */
const KEPT = ['NDCG@5', 'NDCG@10', 'NDCG@20', 'NDCG@50', 'HR@5', 'HR@10', 'HR@20', 'MRR'];
/** Scores (users × items) that a blend is fitted on at most: every trial ranks them all. Fewer on the CPU device. */
const FITTED_SCORES = 2 ** 26;
const FITTED_SCORES_CPU = 2 ** 22;
/** Milliseconds; with less left nothing is timed. */
const SHORT = 30_000;

export const blend: RankingStage = {
  name: 'blend',

  applies: (plan) => stage.applies(plan),

  /** Timed with untrained weights, at most half of what is left. Where little is left, a third and nothing timed. */
  async estimate(run, budget) {
    const { left } = budget;
    if (!run.transitions || run.result || run.plan.chosen) return 0;
    if (left < SHORT) return left / 3;
    const time = budget.untilStopped();
    const pause = () => time.pause(() => run.report('compiling'));
    run.report('compiling');
    const before = performance.now();
    const { some, all } = await timeUsers(fittedUsers(run), (users) => fitOn(run, users, pause));
    const needed = 1.3 * all + 2 * some + 1000;
    return Math.min(needed, Math.max(0, left - (performance.now() - before)) / 2);
  },

  async load(run) {
    if (!run.transitions || run.plan.rankerOnly) return true; // they were given up, or there are none to fit
    if (run.plan.chosen) return run.plan.chosen.blend === null;
    const { blend } = await loadConfig(run.files);
    if (!blend || !stillFits(run, blend)) return false;
    run.blend = blend;
    return true;
  },

  async run(run, budget) {
    const step = run.result?.bestStep ?? undefined;
    run.report('blending', 0);
    if (run.plan.chosen?.blend) {
      run.blend = { ...run.plan.chosen.blend, step };
      return;
    }
    const pause = (done: number) => budget.pause(() => run.report('blending', done));
    run.blend = { ...(await fitOn(run, fittedUsers(run), pause)), step };
  },

  async save({ files, blend }) {
    if (blend) await saveBlend(files, blend);
  },
};

/** What a blend at either end of the grid means, in words; null for one of both. */
export function describeBlend({ memory }: BlendWeights): string | null {
  if (memory === 0) return 'The item transitions do not help on validation: the transformer scores alone.';
  if (memory >= DECIDES)
    return 'The transformer does not help on validation: the item transitions decide, and it orders what they do not tell apart.';
  return null;
}

/** As many of the validation users, evenly spread, as the size of the catalog allows; 16 at least. */
function fittedUsers({ device, plan }: TrainingRun): Uint32Array {
  const users = plan.validationUsers;
  const most = Math.max(16, Math.floor((device.gpu ? FITTED_SCORES : FITTED_SCORES_CPU) / plan.split.items));
  if (users.length <= most) return users;
  return Uint32Array.from({ length: most }, (_, i) => users[Math.floor((i * users.length) / most)]);
}

function fitOn(run: TrainingRun, users: Uint32Array, pause: FitOptions['pause']): Promise<Blend> {
  if (!run.transitions) throw new Error('blend: there are no transitions');
  const { encoder, includeSeen, plan } = run;
  return fitBlend(encoder, run.deviceTransitions(run.transitions), plan.split, { users, includeSeen, pause });
}

export interface FitOptions {
  users: Uint32Array;
  includeSeen?: boolean;
  /** Awaited after each piece of work with the share that is done, 0 to 1; it may throw to stop. */
  pause?(done: number): Promise<void>;
}

export async function fitBlend(
  model: SequenceModel,
  transitions: DeviceTransitions,
  split: Split,
  { users, includeSeen, pause }: FitOptions,
): Promise<Blend> {
  const trials = blendTrials(split.items);
  const off = unblended(split.items);
  const scorer = new Scorer(model, { k: 1, blend: { transitions, weights: off }, components: true, trials });
  try {
    const queries = Array.from(users, (u): ScoreQuery => {
      const history = split.history(u, 'valid');
      return {
        ...splitQuery(split, u, 'valid', model.settings.window, validatedAt(model.settings)),
        target: split.validTarget(u),
        exclude: includeSeen ? undefined : history,
      };
    });
    const scored = await scorer.score(queries, (done) => pause?.(done / queries.length));
    const judge = (rank: (s: Scored) => number | undefined): { metrics: Metrics; criterion: number } => {
      const ranks = new RankMetrics();
      let criterion = 0;
      for (const one of scored) {
        const own = rank(one) ?? MISS;
        ranks.add([own]);
        criterion += criterionOf(own);
      }
      const all = ranks.result();
      return { metrics: Object.fromEntries(KEPT.map((name) => [name, all[name]])), criterion };
    };
    const transformer = judge((s) => s.components?.transformer);
    const memoryAlone = judge((s) => s.components?.transitions);
    let best = { weights: off, ...transformer };
    trials.forEach((weights, i) => {
      const judged = judge((s) => s.trials?.[i]);
      const [more, most] = [judged.criterion, best.criterion];
      if (more > most || (more === most && weights.memory < best.weights.memory)) best = { weights, ...judged };
    });
    const fitted = {
      users: scored.length,
      transformer: transformer.metrics,
      memory: memoryAlone.metrics,
      blend: best.metrics,
    };
    return { ...best.weights, fitted };
  } finally {
    scorer.dispose();
  }
}
