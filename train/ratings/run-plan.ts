/** Runs the plan of a training on ratings into a model folder. */
import { ratingSplitFlag } from '../../data/ratings/split.ts';
import { writeRatingCard } from '../../model/ratings/card.ts';
import type { RatingProgress, StoredPredictions } from '../../model/ratings/folder.ts';
import type { Files } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { TimeBudget } from '../loop/time-budget.ts';
import type { RunOptions } from '../run-plan.ts';
import { runStages } from '../stages/stage.ts';
import type { RatingPlan } from './plan.ts';
import { RatingRun, type RatingRunSharing, type RatingRunSinks } from './rating-run.ts';
import { type Point, type RatingReport, ratingReport, usualPoint } from './report.ts';
import { ratingStages } from './stages.ts';

export interface RatingRunOptions
  extends Pick<RunOptions, 'device' | 'files' | 'overwrite' | 'deadline' | 'signal'>,
    RatingRunSinks,
    RatingRunSharing {}

export interface RatingRunResult {
  /** `time` where a round had too little time for all of its epochs. */
  reason: 'epochs' | 'time' | 'interrupted' | 'finished before';
  progress: RatingProgress;
  /** null where no round has ended. */
  predictions: StoredPredictions | null;
  /** Of this run. */
  seconds: number;
}

/** What a training on ratings has made. */
export interface TrainedRatingModel {
  /** The model folder: `RatingPredictor.load(files)` opens it. */
  files: Files;
  result: RatingRunResult;
  /** Metrics of the out-of-fold predictions; null where the signal ended the training before the first round. */
  report: RatingReport | null;
  /** Which number represents a predicted distribution in the report. */
  point: Point;
  /** What was found in the log, and what the model reads. */
  notes: string[];
}

/** Milliseconds kept for saving. */
const SAVING = 1000;

/** Trains by a plan, round after round; each is saved when it ends. */
export async function runRatingPlan(plan: RatingPlan, options: RatingRunOptions): Promise<TrainedRatingModel> {
  const { device, files, overwrite, deadline, signal } = options;
  const { config, items, split, resume, task } = plan;
  if (!resume) await createFolder(files, { ...config, device: device.name }, items, { overwrite });
  const result = await trainRounds(plan, options, new TimeBudget(deadline, signal));
  const point = usualPoint(split, task);
  // A single round says nothing of the whole.
  const whole = options.onlyRound === undefined ? result.predictions : null;
  const report = whole && ratingReport(whole, task, point);
  if (report && result.reason !== 'interrupted') {
    await writeRatingCard(files, config, {
      date: new Date(),
      split: ratingSplitFlag(split),
      ratings: report.ratings,
      elapsedSeconds: result.progress.elapsedSeconds,
      epochs: result.progress.epochs,
      point,
      rows: {
        'this model': report.metrics,
        'factors alone': report.baselines.factors,
        'biases alone': report.baselines.biases,
      },
    });
  }
  return { files, result, report, point, notes: [...plan.warnings, ...plan.notes] };
}

async function trainRounds(plan: RatingPlan, options: RatingRunOptions, budget: TimeBudget): Promise<RatingRunResult> {
  const run = await RatingRun.open(plan, options.device, options.files, options);
  const doneBefore = run.done;
  try {
    const ended = await runStages(ratingStages(run), run, budget.without(SAVING), options.log);
    const { progress, predictions, seconds, cut } = run;
    const reason = !ended ? 'interrupted' : doneBefore ? 'finished before' : cut ? 'time' : 'epochs';
    return { reason, progress, predictions: progress.rounds > 0 ? predictions : null, seconds };
  } finally {
    run.dispose();
  }
}
