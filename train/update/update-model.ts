/** An update from a program, with events in memory: what `attune update` does. */
import { contextNames } from '../../data/features/event-encoder.ts';
import { mergeLogs } from '../../data/merge.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { checkTraining, logOf, openShared, sourceOf, type TrainingEvent, type TrainingOptions } from '../events.ts';
import { TimeBudget } from '../loop/time-budget.ts';
import type { TrainProgress } from '../loop/options.ts';
import { runPlan, type TrainedModel } from '../run-plan.ts';
import { planUpdate, type UpdateOptions } from './update-plan.ts';

/** The settings, the seed and what is read of events are the model's own. */
export type UpdateModelOptions = Omit<TrainingOptions<TrainProgress>, 'settings' | 'seed' | 'reads'> & UpdateOptions;

/**
 * Updates a model with new events, into other files (in memory by default); the model itself is only read.
 * @param log the events that it was trained on
 * @param events new ones; those that are in `log`, too, count once
 * @throws InputError, one line, where nothing is new or the model cannot be updated
 */
export async function updateModel(
  model: Files,
  log: Iterable<TrainingEvent>,
  events: Iterable<TrainingEvent>,
  options: UpdateModelOptions = {},
): Promise<TrainedModel> {
  checkTraining(options);
  const { maxMinutes, signal, onProgress, overwrite, files = new MemoryFiles('model'), source = 'events' } = options;
  const { deadline } = TimeBudget.ofMinutes(maxMinutes, signal);
  const { schema } = await loadConfig(model);
  const columns = contextNames((schema.events ?? []).map(({ name }) => name));
  const merged = mergeLogs(logOf(log, source, columns), logOf(events, source, columns));
  const plan = await planUpdate(model, sourceOf(merged, options), options);
  const { device, close } = await openShared(options.device);
  try {
    return await runPlan(plan, { device, files, overwrite, deadline, signal, onProgress });
  } finally {
    close();
  }
}
