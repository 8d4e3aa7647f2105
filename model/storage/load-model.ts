/** Loads a model folder, and checks that its parts belong together. */
import { InputError, option } from '../../data/errors.ts';
import { encodeItems, type ItemFeatures } from '../../data/features/encoder.ts';
import { sideFeatureRows } from '../../data/features/event-encoder.ts';
import type { StoredRanker } from '../ranker/store.ts';
import { checkSettings } from '../recipes/settings.ts';
import { loadSegmentPrior, type SegmentPrior, USERS } from '../transitions/segment-prior.ts';
import { type Blend, loadTransitions, MEMORY, type ItemTransitions } from '../transitions/transitions.ts';
import { CHECKPOINT, loadCheckpoint, MODEL, readStamp, type Standing } from './checkpoint.ts';
import { CONFIG, type Item, ITEMS, loadConfig, loadItems, type ModelConfig } from './config.ts';
import { type Snapshot, type Source, withSnapshot } from './manifest.ts';
import type { StoredTensor } from './safetensors.ts';
import { readTensors } from './tensors.ts';

export interface LoadedModel {
  config: ModelConfig;
  items: Item[];
  tensors: Map<string, StoredTensor>;
  /** The file of the tensors, for messages. */
  path: string;
  /** The items' attributes as the item tower reads them; null where the model has none. */
  features: ItemFeatures | null;
  /** The segment prior; null where the model reads no user features. */
  prior: SegmentPrior | null;
  /** The item transitions and how they join the transformer; null where the transformer scores alone. */
  blended: { transitions: ItemTransitions; blend: Blend } | null;
  /** The second stage; null where the first ranks alone. */
  ranker: StoredRanker | null;
  weights: {
    from: 'model' | 'checkpoint';
    step: number;
    epoch: number;
    metrics: Record<string, number> | null;
    /** One line to show to the user when the weights are not validated ones; null otherwise. */
    note: string | null;
  };
}

/**
 * Loads the best weights, or before the first validation those of the last checkpoint (see `weights.note`).
 * @throws InputError, one line, when the folder is no model, has no weights yet, or a file is cut short or damaged
 */
export function loadModel(source: Source): Promise<LoadedModel> {
  return withSnapshot(source, loadParts);
}

async function loadParts(files: Snapshot): Promise<LoadedModel> {
  const config = await loadConfig(files);
  const items = await loadItems(files);
  const tower = config.hyperparameters.items === 'tower';
  // Rating models that read attributes have a row for unrated items; `attune items add` makes such catalogs larger.
  const described = Number(config.task !== undefined && config.schema.items !== undefined);
  if (tower || described ? items.length < config.data.items : items.length !== config.data.items) {
    throw new InputError(
      'mismatched-data',
      `${files.where}: ${ITEMS} has ${items.length} items, ${CONFIG} counts ${config.data.items}; one of them comes from another model`,
    );
  }
  const { tensors, weights, path } = (await loadBest(files)) ?? (await loadLast(files));
  const rows = tensors.get('items.weight')?.shape[0];
  if (rows !== undefined && (tower || described ? rows - described > items.length : rows !== items.length)) {
    throw new InputError(
      'mismatched-data',
      `${files.where}: the weights have ${rows} items, ${ITEMS} has ${items.length}; one of them comes from another model`,
    );
  }
  const blended = await loadBlended(files, config);
  if (!blended && config.hyperparameters.memory === 'on' && weights.note === null) {
    weights.note = `${files.where}: its training has not ended, so the item transitions are not blended in yet: the transformer scores alone`;
  }
  const schema = config.schema.items;
  if (tower && !schema)
    throw new InputError('damaged-model', `${files.pathOf(CONFIG)}: damaged (the schema of the items is missing)`);
  const features = tower && schema ? encodeItems(schema, items) : null;
  const prior = config.schema.users ? await loadSegmentPrior(files, sideFeatureRows(config.schema)) : null;
  if (prior && prior.counts.items.length > items.length) {
    throw new InputError(
      'mismatched-data',
      `${files.pathOf(USERS)}: made for another catalog; it comes from another model`,
    );
  }
  const ranker = config.task === undefined ? await loadRankerFor(files, weights, items.length, config) : null;
  if (!files.listed && !files.files.checked)
    weights.note ??= `${files.where}: made before folders had a manifest, so damage to its files may go unnoticed (attune pack and attune unpack make a copy with one)`;
  return { config, items, tensors, path, features, prior, blended, ranker, weights };
}

/** The ranker, unless it was trained on top of other weights, of fewer items, or before: left aside then, with a note. */
async function loadRankerFor(
  files: Snapshot,
  weights: LoadedModel['weights'],
  items: number,
  config: ModelConfig,
): Promise<StoredRanker | null> {
  if (files.listed && !(await files.has('ranker.safetensors'))) return null;
  const { loadRanker } = await import('../ranker/store.ts'); // loaded only with models that have one
  const known = Math.min(items, config.data.items);
  const ranker = await loadRanker(files, known, checkSettings(config.hyperparameters));
  if (!ranker) return null;
  // Added items have only attributes, which a ranker may not read.
  const aside =
    known < items && !ranker.schema
      ? 'items were added since'
      : !ranker.shape.rankerItems
        ? 'its ranker was made by an earlier version'
        : ranker.stages.step !== weights.step
          ? 'the encoder was trained since'
          : null;
  if (!aside) return ranker;
  weights.note ??= `${files.where}: ${aside}, so that its ranker is left aside: the first stage ranks alone (a training with ${option('resume')} and ${option('ranker')} makes a new one)`;
  return null;
}

async function loadBlended(files: Snapshot, { blend, data }: ModelConfig): Promise<LoadedModel['blended']> {
  if (!blend) return null;
  const transitions = await loadTransitions(files, data.items);
  if (!transitions)
    throw new InputError('damaged-model', `${files.where}: there is no ${MEMORY} in it, which its ${CONFIG} blends`, {
      hint: 'train it again',
    });
  return { transitions, blend };
}

type Weights = Pick<LoadedModel, 'tensors' | 'weights' | 'path'>;

async function loadBest(files: Snapshot): Promise<Weights | null> {
  const stored = await readTensors(files, MODEL);
  if (!stored) return null;
  const { tensors, metadata, path } = stored;
  const standing = readStamp<Standing>(metadata, 'standing', path);
  return { tensors, path, weights: { from: 'model', ...standing, note: null } };
}

async function loadLast(files: Snapshot): Promise<Weights> {
  const checkpoint = await loadCheckpoint(files);
  if (!checkpoint) {
    throw new InputError(
      'unfinished-model',
      `${files.where}: holds no weights yet (training stopped before its first step)`,
      { hint: 'train it again' },
    );
  }
  const { step, epoch } = checkpoint.counters;
  const note = `${files.where}: not validated yet, these are the weights of its last checkpoint (step ${step})`;
  return {
    tensors: new Map(checkpoint.average ?? checkpoint.params),
    path: files.pathOf(CHECKPOINT),
    weights: { from: 'checkpoint', step, epoch, metrics: null, note },
  };
}
