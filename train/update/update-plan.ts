/** The plan of an update: a model learns what has happened since it was trained, as a new model beside it. */
import { planEpoch } from '../../data/batching/batches.ts';
import { type Dataset, datasetOf } from '../../data/dataset.ts';
import { atOnce } from '../../data/pieces.ts';
import { InputError, option } from '../../data/errors.ts';
import { withoutSource } from '../../data/log.ts';
import { alignItems } from '../../data/splits/align.ts';
import { requireTrainable } from '../../data/splits/checks.ts';
import { type Protocol, storedProtocol } from '../../data/splits/protocol.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { windowsOf } from '../../model/recipes/derived.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { Files } from '../../model/storage/files.ts';
import { type LoadedModel, loadModel } from '../../model/storage/load-model.ts';
import { loadTraining } from '../../model/storage/training-record.ts';
import type { BlendWeights } from '../../model/transitions/transitions.ts';
import { describeGuard, guarded } from '../attack/guard.ts';
import { countItems } from '../baselines/baselines.ts';
import { type AnySource, catalogItems, RankingPlan } from '../plan.ts';
import { refusePrivate } from '../privacy/options.ts';
import { count, type Notes, storedSideFeatures } from '../side-features.ts';
import { VERSION } from '../version.ts';
import { startTensors } from './start-rows.ts';

export interface UpdateOptions {
  /** Tokens of old events that are trained on again for each token of a window with new ones; 1 by default. */
  replay?: number;
  /** Half of that of the training by default. The item table learns six times as fast. */
  learningRate?: number;
  /** Passes over the new events; validation decides without it. A model on all events, which has none, takes 2. */
  epochs?: number;
  /** Tokens to train on, at most: as many whole epochs, and one at least. */
  tokens?: number;
}

const REPLAY = 1;
/** Of the training's learning rate: moments start from zero again. */
const LEARNING_RATE = 0.5;
/** What the item table learns at is a multiple of it; not with an item tower or row-wise Adagrad, where nothing was measured. */
const TABLE_RATE = 6;
/** Steps of its rise. */
const WARMUP = 8;
/** Validations without progress that end an update. */
const PATIENCE = 3;
/** Steps between two validations: an epoch, within these limits. */
const VALIDATE = { least: 8, most: 64 };
/** Passes over the new events where nothing is held out to validate on. */
const EPOCHS = 2;

/**
 * Plans to update a model: its weights are the start, new items get rows of their own, new events and a uniform sample of
 * the old ones are trained on, and the item transitions and the blend are made anew from all of them. The model itself is
 * only read.
 *
 * @param model a ranking model whose training has ended
 * @param source all events: those of the training and the new ones, which `mergeLogs` marks. Where none is marked, a
 *   user's events beyond those that the model's training record counts are the new ones.
 * @throws InputError where nothing is new, or the model is one that cannot be updated
 */
export async function planUpdate(model: Files, source: AnySource, options: UpdateOptions = {}): Promise<RankingPlan> {
  const loaded = await loadModel(model);
  const stored = settingsOf(loaded);
  requireUpdatable(loaded, model.where);
  const { replay, learningRate, epochs: asked } = checkUpdate(options, stored);
  const { config } = loaded;
  const { log, name, users = null } = source;
  const { minInteractions, minRating } = config.data;
  const to: Notes = { notes: [], warnings: [] };
  const prepared = datasetOf(log, { minInteractions, minRating: minRating ?? undefined });
  for (const line of prepared.report.lines) to.notes.push(`${name}: ${withoutSource(line, log.source)}`);

  const known = loaded.items.map(({ id }) => id);
  const knownSet = new Set(known);
  const added = prepared.itemIds.filter((id) => !knownSet.has(id));
  const aligned = alignItems(prepared, known.concat(added)).dataset;
  const { dataset, ...fresh } = await markFresh(aligned, model);
  if (fresh.events === 0)
    throw new InputError(
      'already-exists',
      `${name}: no event that ${model.where} has not seen; there is nothing to learn`,
    );
  to.notes.push(
    `new since ${model.where}: ${count(fresh.events)} events, ${count(fresh.users)} users, ${count(added.length)} items`,
  );

  const protocol = protocolOf(loaded, model.where);
  const plain = recut(dataset, protocol, loaded, name);
  requireTrainable(plain, name);
  await leaveOutTrained(plain, model, to);
  const { schema } = config;
  const usersName = schema.users && users ? source.usersName : undefined;
  const { split, guard } = guarded(storedSideFeatures(schema, plain, users, usersName ?? name, to), stored);
  if (guard) to.notes.push(describeGuard(guard));

  const infos = new Map(loaded.items.map(({ id, title, attributes }) => [id, { title, attributes }]));
  for (const [id, info] of source.items ?? []) {
    const { title = id, attributes = {} } = info;
    infos.set(id, { title, attributes });
  }
  const items = catalogItems(
    split.dataset.itemIds,
    countItems(split),
    { items: infos, itemsName: source.itemsName },
    to,
  );

  const blend = blendOf(loaded, split);
  const transitions = loaded.blended?.transitions.settings ?? null;
  const final = protocol.name === 'final';
  const tableRate = stored.items === 'ids' && stored.tableOptimizer === 'adamw' ? TABLE_RATE : 1;
  const { seed } = config;
  const batches = atOnce(planEpoch(split, { ...windowsOf(stored), seed, epoch: 0, replay })).count;
  const affordable = Math.max(1, Math.floor((options.tokens ?? Number.POSITIVE_INFINITY) / (batches * stored.budget)));
  const wanted = asked ?? (final ? EPOCHS : Number.POSITIVE_INFINITY);
  const epochs = Math.min(wanted, affordable);
  const update = {
    from: model.where,
    generation: (config.update?.generation ?? 0) + 1,
    events: fresh.events,
    users: fresh.users,
    items: added.length,
    replay,
    learningRate,
  };
  const { blend: _blend, attributeMemory: _attributes, parallel: _parallel, init: _init, ...kept } = config;
  const { report } = dataset;
  return new RankingPlan({
    ...to,
    config: {
      ...kept,
      attune: VERSION,
      created: new Date().toISOString(),
      data: {
        ...config.data,
        source: name,
        ...(source.usersName !== undefined && { usersFile: source.usersName }),
        users: report.users,
        items: items.length,
        interactions: report.interactions,
      },
      protocol: split.protocol.name,
      protocolParameters: { ...split.protocol.parameters },
      device: '',
      variants: {},
      update,
    },
    settings: updateSettings(stored, learningRate, Math.ceil(batches / stored.accumulate)),
    split,
    items,
    itemsName: source.itemsName,
    epochs: Number.isFinite(epochs) ? epochs : undefined,
    guard,
    chosen: final ? { epochs, blend, transitions, prior: loaded.prior?.settings ?? null } : null,
    warm: { tensors: startTensors(loaded.tensors, split, items, stored), blend, transitions, replay, tableRate },
  });
}

/** @throws InputError for a model that no update starts from */
function requireUpdatable({ config, weights }: LoadedModel, where: string): void {
  refusePrivate(config, where, 'an update would learn without noise');
  if (weights.from === 'checkpoint')
    throw new InputError('unfinished-model', `${where}: not validated yet; an update starts from a finished training`, {
      hint: `let it end first (${option('resume')})`,
    });
  if (config.protocol === 'cold-items')
    throw new InputError('unsupported', `${where}: trained under the protocol cold-items, to be evaluated`, {
      hint: 'update one of another protocol',
    });
}

function checkUpdate(
  { replay = REPLAY, learningRate, epochs }: UpdateOptions,
  stored: Settings,
): { replay: number; learningRate: number; epochs: number | undefined } {
  if (!(replay >= 0 && Number.isFinite(replay)))
    throw new InputError('invalid-value', `expected a number >= 0, got ${replay}`, { setting: 'replay' });
  const rate = learningRate ?? LEARNING_RATE * stored.learningRate;
  if (!(rate > 0 && Number.isFinite(rate)))
    throw new InputError('invalid-value', `expected a number > 0, got ${rate}`, { setting: 'learningRate' });
  if (epochs !== undefined && !(Number.isSafeInteger(epochs) && epochs >= 1))
    throw new InputError('invalid-value', `expected an integer >= 1, got ${epochs}`, { setting: 'epochs' });
  return { replay, learningRate: rate, epochs };
}

/** The settings of the update's own training; those of the model stay in its config. @param steps of an epoch */
function updateSettings(stored: Settings, learningRate: number, steps: number): Settings {
  return {
    ...stored,
    learningRate,
    schedule: 'constant',
    warmup: WARMUP,
    patience: Math.min(PATIENCE, stored.patience),
    validateSteps: Math.max(VALIDATE.least, Math.min(VALIDATE.most, steps)),
  };
}

/** Marks what the model has not seen, where `mergeLogs` did not, and counts it. */
async function markFresh(
  dataset: Dataset,
  model: Files,
): Promise<{ dataset: Dataset & { fresh: Uint8Array }; events: number; users: number }> {
  const { userIds, offsets } = dataset;
  const record = await loadTraining(model);
  const before = userIds.map((id) => record?.eventsOf(id) ?? 0);
  const fresh = dataset.fresh ?? new Uint8Array(dataset.items.length);
  if (!dataset.fresh?.includes(1) && record)
    before.forEach((events, u) => fresh.fill(1, Math.min(offsets[u] + events, offsets[u + 1]), offsets[u + 1]));
  const users = record ? before.filter((events) => events === 0).length : 0;
  return { dataset: { ...dataset, fresh }, events: fresh.reduce((sum, x) => sum + x, 0), users };
}

/** The model's protocol; cuts in time that followed from its log follow from the longer one. */
function protocolOf({ config }: LoadedModel, where: string): Protocol {
  const protocol = storedProtocol(config.protocol, config.protocolParameters, where);
  if (protocol.name !== 'temporal') return protocol;
  const { validFrom: _v, testFrom: _t, ...parameters } = protocol.parameters;
  return { ...protocol, parameters };
}

/** Under cuts in time, nothing that trained before is held out: late events must not move them back. */
function recut(dataset: Dataset, protocol: Protocol, { config }: LoadedModel, name: string): Split {
  const split = splitDataset(dataset, protocol, name);
  const before = Number(config.protocolParameters?.validFrom ?? Number.NEGATIVE_INFINITY);
  if (!(Number(split.protocol.parameters.validFrom) < before)) return split;
  return splitDataset(dataset, { ...protocol, parameters: { ...config.protocolParameters } }, name);
}

/** No user is evaluated on an event that the earlier model was trained on. */
async function leaveOutTrained(split: Split, model: Files, { notes }: Notes): Promise<void> {
  if (split.protocol.name === 'final') return;
  const record = await loadTraining(model);
  if (!record) {
    notes.push(`${model.where}: no record of its training, so that nothing tells what it was trained on`);
    return;
  }
  for (const part of ['valid', 'test'] as const)
    for (const u of record.overlap(split, part).grown) split.leaveOut(u, part);
}

/** The model's blend for the larger catalog: ε is in units of 1 / V. */
function blendOf({ blended, items }: LoadedModel, split: Split): BlendWeights | null {
  if (!blended) return null;
  const { memory, epsilon } = blended.blend;
  return { memory, epsilon: (epsilon * items.length) / split.items };
}
