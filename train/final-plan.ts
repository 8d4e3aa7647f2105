/** The plan of a training on all events, with what the validation of another model chose. */
import { InputError, option } from '../data/errors.ts';
import { FINAL } from '../data/splits/protocol.ts';
import type { Schema } from '../data/features/schema.ts';
import type { Files } from '../model/storage/files.ts';
import { readMetrics } from '../model/storage/folder.ts';
import { type LoadedModel, loadModel } from '../model/storage/load-model.ts';
import { refusePrivate } from './privacy/options.ts';
import { type Chosen, planTraining, type RankingPlan, type AnySource } from './plan.ts';

/**
 * Plans to train a model like another one, on all events of a log, the newest of each user included: with its recipe,
 * settings, filters and seed, for the epochs after which it was best, and with its blend and segment prior. The model that
 * comes of it is for serving: nothing is left to evaluate it on.
 * @param like a model whose training has ended
 * @param source its log, or a newer one
 * @throws InputError where the model does not tell what to do, or the log cannot be learned from
 */
export async function finalPlan(like: Files, source: AnySource): Promise<RankingPlan> {
  const loaded = await loadModel(like);
  const { config } = loaded;
  refusePrivate(config, like.where, 'a training on all events would learn without noise');
  requireChosen(loaded, like.where);
  const { data, schema } = config;
  const settings = Object.fromEntries(Object.entries(config.hyperparameters).map(([key, value]) => [key, `${value}`]));
  const epochs = await bestEpochs(like, loaded);
  const known = new Map(loaded.items.map(({ id, title, attributes }) => [id, { title, attributes }]));
  const plan = planTraining(
    { ...source, items: source.items ?? known, itemsName: source.itemsName ?? like.where },
    {
      recipe: config.recipe,
      settings,
      protocol: FINAL,
      minInteractions: data.minInteractions,
      minRating: data.minRating ?? undefined,
      includeSeen: config.seen === 'kept',
      seed: config.seed,
      itemColumns: choicesOf(schema.items),
      userColumns: choicesOf(schema.users),
      events: (schema.events ?? []).map(({ name }) => name),
      epochs,
      chosen: chosenBy(loaded, epochs),
    },
  );
  const { blend } = plan.chosen ?? {};
  // ε is in units of 1 / V.
  if (blend) blend.epsilon *= loaded.items.length / plan.split.items;
  return plan;
}

/** @throws InputError */
function requireChosen({ config, weights }: LoadedModel, where: string): void {
  const refuse = (reason: string, hint?: string): InputError =>
    new InputError('conflicting-settings', `${where}: ${reason}`, { setting: 'final', hint });
  if (weights.from === 'checkpoint')
    throw new InputError('unfinished-model', `${where}: not validated yet, so that nothing is chosen`, {
      hint: 'let its training end first',
    });
  if (config.protocol === 'final') throw refuse('trained on all events itself', 'name the model that it was made like');
  if (config.protocol === 'cold-items')
    throw refuse('its validation chose how cold items are ranked', 'take a model of another protocol');
  if (config.update)
    throw refuse('made by an update, which tells no number of epochs', 'name the model that was trained from nothing');
  if (config.init)
    throw refuse('its training started from another model', `train one like it from nothing, or serve it as it is`);
  if (config.hyperparameters.ranker === 'on')
    throw refuse(
      'it has a second stage, which cannot be trained without validation',
      `take one without (${option('settings.ranker', 'off')})`,
    );
}

/** Epochs after which the model was best, rounded: the validations were at steps. */
async function bestEpochs(files: Files, { weights }: LoadedModel): Promise<number> {
  const record = (await readMetrics(files)).find(({ step }) => step === weights.step);
  const epochs = typeof record?.epoch === 'number' ? record.epoch : weights.epoch;
  return Math.max(1, Math.round(epochs));
}

function chosenBy({ blended, prior }: LoadedModel, epochs: number): Chosen {
  const { memory, epsilon } = blended?.blend ?? {};
  return {
    epochs,
    blend: memory === undefined || epsilon === undefined ? null : { memory, epsilon },
    transitions: blended?.transitions.settings ?? null,
    prior: prior?.settings ?? null,
  };
}

/** The same types and separators again, whatever the new log would suggest. */
const choicesOf = (schema: Schema | undefined) =>
  (schema?.columns ?? []).map(({ name, type, missing, separator }) => ({ name, type, missing, separator }));
