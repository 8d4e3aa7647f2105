/** Training on ratings from a program, with events in memory: what `attune train --task rating` does. */
import { contextNames } from '../../data/features/event-encoder.ts';
import type { RatingTask } from '../../data/ratings/ratings.ts';
import type { RatingSplit } from '../../data/ratings/split.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import {
  checkTraining,
  logOf,
  openShared,
  settingsText,
  sourceOf,
  type TrainingEvent,
  type TrainingOptions,
} from '../events.ts';
import { checkRatingOptions, planRatings } from './plan.ts';
import type { RatingRunProgress } from './rating-run.ts';
import { runRatingPlan, type TrainedRatingModel } from './run-plan.ts';

export interface TrainRatingModelOptions extends TrainingOptions<RatingRunProgress> {
  /** `rating`, the default, predicts the rating; `ctr` whether it is positive. */
  task?: RatingTask;
  /** Of `ctr`: the least rating that counts as positive; by default 1 where all are 0 or 1, else 4. */
  positive?: number;
  /** What is tested: five folds by default, in which every rating is predicted by a model that has not seen it. */
  split?: RatingSplit;
}

/**
 * Trains a model of ratings, or of clicks, on events that have a rating. Every row counts: no filter removes any.
 *
 * @throws InputError, one line, where nothing can be learned from the events or a setting makes no sense
 */
export async function trainRatingModel(
  events: Iterable<TrainingEvent>,
  options: TrainRatingModelOptions = {},
): Promise<TrainedRatingModel> {
  const started = performance.now();
  checkTraining(options);
  const { maxMinutes, signal, onProgress, overwrite, files = new MemoryFiles('model') } = options;
  const reads = [...new Set(options.reads ?? [])];
  const planned = { ...options, settings: settingsText(options), events: reads };
  checkRatingOptions(planned); // before the events are read, which may take long
  const log = logOf(events, options.source ?? 'events', contextNames(reads));
  const plan = planRatings(sourceOf(log, options), planned);
  const { device, close } = await openShared(options.device);
  try {
    const deadline = maxMinutes === undefined ? undefined : started + maxMinutes * 60_000;
    return await runRatingPlan(plan, { device, files, overwrite, deadline, signal, onProgress });
  } finally {
    close();
  }
}
