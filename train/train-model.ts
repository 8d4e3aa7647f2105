/** Training from a program, with events in memory: what `attune train` does, into a model folder of any kind. */
import type { Protocol } from '../data/splits/protocol.ts';
import { trainEvents, type TrainingEvent, type TrainingOptions } from './events.ts';
import type { TrainProgress } from './loop/options.ts';
import type { Files } from '../model/storage/files.ts';
import { checkOptions, type PlanOptions, planTraining, type TrainingSource } from './plan.ts';
import type { PrivacyOptions } from './privacy/options.ts';
import { runPlan, type TrainedModel } from './run-plan.ts';
import { planTransfer, type TransferOptions } from './transfer/plan-transfer.ts';

/** Without `epochs` and `maxMinutes` early stopping ends the training; `reads` takes rating and gap, too. */
export interface TrainModelOptions extends TrainingOptions<TrainProgress>, TransferOptions {
  /** A model to start from, which is only read; `map` and `freezeEpochs` say how. */
  init?: Files;
  /** See `attune recipes`; the size of the log decides without it. */
  recipe?: string;
  /** Users and items with fewer events are left out, 5 by default. */
  minInteractions?: number;
  minRating?: number;
  protocol?: Protocol;
  /** Recommend items that a user has had before, too: validation then ranks them. */
  includeSeen?: boolean;
  /** Keep users' data private, as `attune train --dp` does: `{ epsilon: 8, delta: 1e-6 }`. */
  dp?: PrivacyOptions;
}

/**
 * Trains a recommender on events.
 *
 * @throws InputError, one line, where nothing can be learned from the events or a setting makes no sense
 */
export function trainModel(events: Iterable<TrainingEvent>, options: TrainModelOptions = {}): Promise<TrainedModel> {
  const { init } = options;
  const plan = (source: TrainingSource, planned: PlanOptions & TransferOptions) =>
    init ? planTransfer(init, source, planned) : planTraining(source, planned);
  return trainEvents(events, options, { check: checkOptions, plan, run: runPlan });
}
