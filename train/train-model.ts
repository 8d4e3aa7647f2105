/** Training from a program, with events in memory: what `attune train` does, into a model folder of any kind. */
import type { Protocol } from '../data/splits/protocol.ts';
import { contextNames } from '../data/features/event-encoder.ts';
import { MemoryFiles } from '../model/storage/files.ts';
import {
  checkTraining,
  logOf,
  openShared,
  settingsText,
  sourceOf,
  type TrainingEvent,
  type TrainingOptions,
} from './events.ts';
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
export async function trainModel(
  events: Iterable<TrainingEvent>,
  options: TrainModelOptions = {},
): Promise<TrainedModel> {
  const started = performance.now();
  checkTraining(options);
  const { maxMinutes, signal, onProgress, overwrite, files = new MemoryFiles('model') } = options;
  const reads = [...new Set(options.reads ?? [])];
  const planned = { ...options, settings: settingsText(options), events: reads };
  checkOptions(planned); // before the events are read, which may take long
  const log = logOf(events, options.source ?? 'events', contextNames(reads));
  const plan = planTraining(sourceOf(log, options), planned);
  const { device, close } = await openShared(options.device);
  try {
    const deadline = maxMinutes === undefined ? undefined : started + maxMinutes * 60_000;
    return await runPlan(plan, { device, files, overwrite, deadline, signal, onProgress });
  } finally {
    close();
  }
}
