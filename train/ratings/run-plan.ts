/** Runs the plan of a training on ratings into a model folder. */
import { ratingSplitFlag } from '../../data/ratings/split.ts';
import { writeRatingCard } from '../../model/ratings/card.ts';
import type { Files } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';
import type { RunOptions } from '../run-plan.ts';
import type { RatingPlan } from './plan.ts';
import { type Point, type RatingReport, ratingReport, usualPoint } from './report.ts';
import { type RatingRunProgress, type RatingRunResult, trainRatings } from './run.ts';

export interface RatingRunSinks
  extends Pick<RunOptions, 'device' | 'files' | 'overwrite' | 'deadline' | 'signal' | 'log'> {
  onProgress?(progress: RatingRunProgress): void;
}

/** What a training on ratings has made. */
export interface TrainedRatings {
  /** The model folder: `RatingPredictor.load(files)` opens it. */
  files: Files;
  result: RatingRunResult;
  /** Metrics of the out-of-fold predictions; null where the signal ended the training before the first round. */
  report: RatingReport | null;
  /** Which number represents a predicted distribution in the report. */
  point: Point;
}

/** Trains by a plan, round after round; each is saved when it ends. */
export async function runRatingPlan(plan: RatingPlan, options: RatingRunSinks): Promise<TrainedRatings> {
  const { device, files, overwrite } = options;
  const { config, ratings, split, settings, features, resume, task } = plan;
  if (!resume) await createFolder(files, { ...config, device: device.name }, plan.items, { overwrite });
  const run = { ...options, ratings, split, settings, features, seed: config.seed, resume };
  const result = await trainRatings(run);
  const point = usualPoint(split, task);
  const report = result.predictions && ratingReport(result.predictions, task, point);
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
  return { files, result, report, point };
}
