/** Training on ratings from a program, with events in memory: what `attune train --task rating` does. */
import type { RatingTask } from '../../data/ratings/ratings.ts';
import type { RatingSplit } from '../../data/ratings/split.ts';
import { trainEvents, type TrainingEvent, type TrainingOptions } from '../events.ts';
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
export function trainRatingModel(
  events: Iterable<TrainingEvent>,
  options: TrainRatingModelOptions = {},
): Promise<TrainedRatingModel> {
  return trainEvents(events, options, { check: checkRatingOptions, plan: planRatings, run: runRatingPlan });
}
