/** Training from a program, with events in memory: what `attune train` does, into a model folder of any kind. */
import type { Protocol } from '../data/splits/protocol.ts';
import { trainEvents, type TrainingEvent, type TrainingOptions } from './events.ts';
import type { TrainProgress } from './loop/options.ts';
import { checkOptions, planTraining } from './plan.ts';
import { runPlan, type TrainedModel } from './run-plan.ts';

/** Without `epochs` and `maxMinutes` early stopping ends the training; `reads` takes rating and gap, too. */
export interface TrainModelOptions extends TrainingOptions<TrainProgress> {
  /** See `attune recipes`; the size of the log decides without it. */
  recipe?: string;
  /** Users and items with fewer events are left out, 5 by default. */
  minInteractions?: number;
  minRating?: number;
  protocol?: Protocol;
  /** Recommend items that a user has had before, too: validation then ranks them. */
  includeSeen?: boolean;
}

/**
 * Trains a recommender on events.
 *
 * @throws InputError, one line, where nothing can be learned from the events or a setting makes no sense
 */
export function trainModel(events: Iterable<TrainingEvent>, options: TrainModelOptions = {}): Promise<TrainedModel> {
  return trainEvents(events, options, { check: checkOptions, plan: planTraining, run: runPlan });
}
