/**
 * A model is a folder. Its parts, each under the name of its generation (model.safetensors is model-000003.safetensors, say;
 * storage/manifest.ts), may be replaced one by one, and a kill at any moment leaves a folder that loads:
 *
 *   manifest.json           which files are current, their sizes and checksums
 *   items.json              row → ID, title, attributes, number of training events
 *   config.json             everything needed to rebuild the model, but no weights; replaced when a training ends and the
 *                           blend with the item transitions is fitted
 *   checkpoint.safetensors  weights `p/NAME`, moments `m/NAME` and `v/NAME`, all counters, and the weights' moving average
 *                           `a/NAME` where there is one
 *   memory.safetensors      written before step 1: the item transitions (memory.ts), unless they are off
 *   users.safetensors       written at the end: what segments of users like (user-prior.ts), where their columns are read
 *   model.safetensors       the best weights by validation, with their metrics
 *   ranker.safetensors      the ranker on top of them (ranker.ts), where one was trained
 *   predictions.safetensors of a model of ratings alone, see rating-folder.ts
 *   training.bin            what it was trained on, as hashes (training-record.ts); never packed
 *
 * Beside the parts, under plain names: metrics.jsonl, to which each evaluation appends a line, and the model card README.md
 * (card.ts).
 *
 * Until the first validation there is no model.safetensors; loading then takes the weights of the last checkpoint and
 * says so in `weights.note`. Until a blend is fitted the transformer scores alone. A blend fits any weights: a training
 * that goes on keeps the last one until it ends.
 */
import { InputError, option } from '../../data/errors.ts';
import { encodeItems, type ItemFeatures } from '../../data/features/encoder.ts';
import type { RatingTask } from '../../data/ratings/ratings.ts';
import type { Schema } from '../../data/features/schema.ts';
import { type EventColumn, sideFeatureRows } from '../../data/features/event-encoder.ts';
import type { AttributeModel } from '../transitions/attribute-model.ts';
import type { Files } from './files.ts';
import { loadSegmentPrior, type SegmentPrior, USERS } from '../transitions/segment-prior.ts';
import { type Blend, loadTransitions, MEMORY, type Memory } from '../transitions/transitions.ts';
import { RATING, storedRatingSettings } from '../ratings/settings.ts';
import { renamed } from '../recipes/setting.ts';
import { checkSettings, SETTINGS } from '../recipes/settings.ts';
import { loadRanker, type StoredRanker } from '../ranker/store.ts';
import { encodePieces, type StoredTensor } from './safetensors.ts';
import {
  commit,
  holdsGenerations,
  MANIFEST,
  type Part,
  PARTS,
  Snapshot,
  type Source,
  withSnapshot,
} from './manifest.ts';
import { checkConfig } from './config-check.ts';
import { readTensors } from './tensors.ts';

export const FORMAT_VERSION = 1;
const CONFIG = 'config.json';
const ITEMS = 'items.json';
const MODEL = 'model.safetensors';
const CHECKPOINT = 'checkpoint.safetensors';
/** Of a model of ratings; see rating-folder.ts. */
export const PREDICTIONS = 'predictions.safetensors';
const METRICS = 'metrics.jsonl';
/** What a model folder holds under plain names beside its parts. */
export const BESIDE = ['README.md', METRICS] as const;

export type Tensors = ReadonlyMap<string, StoredTensor>;

/** What config.json holds. Only the blend is written when a training ends; figures stand beside the weights they belong to. */
export interface ModelConfig {
  formatVersion: number;
  /** Version of Attune that made the folder. */
  attune: string;
  /** ISO date. */
  created: string;
  recipe: string;
  /** What is predicted, where it is not the next item. */
  task?: RatingTask;
  /** Of the task `ctr`: the least rating that counts as positive. */
  positive?: number;
  /** The lowest and the highest rating of the log; absent in folders of earlier versions. */
  ratingRange?: { least: number; most: number };
  hyperparameters: Record<string, number | string | boolean>;
  /** What the log's columns were called, and which kinds of columns there were. */
  schema: {
    columns: Record<string, string>;
    attributes: string[];
    /** What the columns of the items file are, where the model reads them. */
    items?: Schema;
    /** What the columns of the users file are, where the model reads them. */
    users?: Schema;
    /** What the model reads of events besides their items. */
    events?: EventColumn[];
  };
  /** Counts are after filtering. */
  data: {
    source: string;
    /** The users file, where there was one. */
    usersFile?: string;
    users: number;
    items: number;
    interactions: number;
    minInteractions: number;
    minRating: number | null;
  };
  protocol: string;
  /** Its parameters, with the cuts in time where it has any; absent in folders of before there were any. */
  protocolParameters?: Record<string, number | string>;
  /** Whether validation keeps items of the history among the candidates. */
  seen: 'excluded' | 'kept';
  /** Tokens of a training batch. */
  tokenBudget: number;
  seed: number;
  /** The adapter, and kernel → variant as chosen at the start; the checkpoint holds those that a resumed training keeps. */
  device: string;
  variants: Record<string, string[]>;
  /** How the memory joins the transformer; absent while it is off or no training has ended. */
  blend?: Blend;
  /** How attributes speak for cold items beside the transformer; there under the protocol cold-items once a training ends. */
  attributeMemory?: AttributeModel;
}

/** A row of items.json. */
export interface Item {
  id: string;
  title: string;
  attributes: Record<string, string>;
  /** Training events; folders of earlier versions have none. */
  count?: number;
  /** Under the protocol cold-items: in which part the item is cold. Such items follow those that train. */
  cold?: 'valid' | 'test';
}

/** Everything that changes during training besides weights and moments. */
export interface Counters {
  step: number;
  epoch: number;
  /** Batches of this epoch already done. */
  batch: number;
  seed: number;
  /** Best validation NDCG@10 so far and the step it was reached at; null before the first validation. */
  bestNdcg: number | null;
  bestStep: number | null;
  /** Validations since the best one. */
  patience: number;
  /** Training time so far, over all resumptions. */
  elapsedSeconds: number;
  finished: boolean;
  /** Kernel → variant in use. */
  variants: Record<string, string[]>;
  /** Anything else the trainer must find again; JSON. */
  extra?: Record<string, unknown>;
}

/** Weights, both moments of the optimizer (the same names and shapes), counters. */
export interface Checkpoint {
  params: Tensors;
  m: Tensors;
  v: Tensors;
  /** The moving average of the weights, where the training has one. */
  average?: Tensors;
  counters: Counters;
}

/** Where weights stand in the training, and their validation figures (`NDCG@10` …). */
export interface Standing {
  step: number;
  epoch: number;
  metrics: Record<string, number>;
}

export interface LoadedModel {
  config: ModelConfig;
  items: Item[];
  tensors: Map<string, StoredTensor>;
  /** The file of the tensors, for messages. */
  path: string;
  /** The items' attributes as the item tower reads them; null where the model has none. */
  features: ItemFeatures | null;
  /** What groups of users like; null where the model knows no columns of users. */
  prior: SegmentPrior | null;
  /** The memory and how it joins the transformer; null where the transformer scores alone. */
  remembering: { memory: Memory; blend: Blend } | null;
  /** The second stage; null where the first ranks alone. */
  ranking: StoredRanker | null;
  weights: {
    from: 'model' | 'checkpoint';
    step: number;
    epoch: number;
    metrics: Record<string, number> | null;
    /** One line to show to the user when the weights are not validated ones; null otherwise. */
    note: string | null;
  };
}

/** Whether the folder holds a model made by Attune, whole or not. */
export async function holdsModel(files: Files): Promise<boolean> {
  if (holdsGenerations(await files.list()) || (await madeHere(files, MANIFEST))) return true;
  return (await madeHere(files, CONFIG)) || (await madeHere(files, ITEMS));
}

/** Whether the folder holds a model made by Attune that tells what it was made from. */
export async function holdsConfig(files: Files): Promise<boolean> {
  return (await holdsModel(files)) && (await (await Snapshot.open(files)).has(CONFIG));
}

/** Whether it has come to weights, or to predictions of ratings. A damaged manifest counts: something would be lost. */
export async function holdsWeights(files: Files): Promise<boolean> {
  if (!(await holdsModel(files))) return false;
  const snapshot = await Snapshot.open(files).catch(() => null);
  if (!snapshot) return true;
  const parts = await snapshot.parts();
  return parts.includes(CONFIG) && [CHECKPOINT, MODEL, PREDICTIONS].some((part) => parts.includes(part as Part));
}

/**
 * Refuses a folder that no new model may be written to.
 * @throws InputError when a model is there and `overwrite` is not set, or files that Attune did not write
 */
export async function refuseTaken(files: Files, options: { overwrite?: boolean }): Promise<void> {
  if (await holdsModel(files)) {
    if (options.overwrite || !(await holdsWeights(files))) return;
    throw new InputError('already-exists', `${files.where}: already holds a model`, {
      hint: `add ${option('resume')} to continue it, ${option('overwrite')} to replace it, or choose another folder`,
    });
  }
  const names = await files.list();
  const foreign = [MANIFEST, ...PARTS, ...BESIDE].filter((name) => names.includes(name));
  if (foreign.length > 0) {
    throw new InputError('already-exists', `${files.where}: holds ${foreign.join(', ')} that Attune did not write`, {
      hint: 'choose an empty or new folder',
    });
  }
}

/**
 * Writes what is fixed, before the first step. A model that is there is replaced by that, at once.
 * @throws InputError when a model is there and `overwrite` is not set, or files that Attune did not write
 */
export async function createFolder(
  files: Files,
  config: ModelConfig,
  items: readonly Item[],
  options: { overwrite?: boolean } = {},
): Promise<void> {
  await refuseTaken(files, options);
  if (config.data.items !== items.length) {
    throw new Error(`folder: the config counts ${config.data.items} items, ${items.length} were given`);
  }
  for (const name of BESIDE) await files.remove(name);
  await commit(files, { [ITEMS]: itemsText(items), [CONFIG]: configText(config) }, { fresh: true });
}

/** Replaces the checkpoint. The tensors are not copied: leave them alone until it is written. */
export async function saveCheckpoint(files: Files, { params, m, v, average, counters }: Checkpoint): Promise<void> {
  const tensors = new Map<string, StoredTensor>();
  for (const [prefix, group] of [
    ['p', params],
    ['m', m],
    ['v', v],
    ['a', average ?? new Map()],
  ] as const) {
    for (const [name, tensor] of group) tensors.set(`${prefix}/${name}`, tensor);
  }
  await commit(files, { [CHECKPOINT]: encodePieces(tensors, stamp('counters', counters)) });
}

/**
 * @returns null when there is no checkpoint
 * @throws InputError, one line, when the file is cut short or damaged
 */
export async function loadCheckpoint(source: Source): Promise<Checkpoint | null> {
  const stored = await readTensors(source, CHECKPOINT);
  if (!stored) return null;
  const { tensors, metadata, path: file } = stored;
  const groups = { p: new Map(), m: new Map(), v: new Map(), a: new Map() } as Record<
    string,
    Map<string, StoredTensor>
  >;
  for (const [name, tensor] of tensors) {
    const group = name[1] === '/' && 'pmva'.includes(name[0]) ? groups[name[0]] : null;
    if (!group) throw new InputError('damaged-model', `${file}: not a checkpoint of Attune (tensor ${name})`);
    group.set(name.slice(2), tensor);
  }
  for (const [name, { data }] of groups.p) {
    for (const moment of groups.a.size > 0 ? [groups.m, groups.v, groups.a] : [groups.m, groups.v]) {
      if (moment.get(name)?.data.length !== data.length) {
        throw new InputError(
          'damaged-model',
          `${file}: damaged: the optimizer's moments or the average of ${name} are missing or of another size`,
        );
      }
    }
  }
  const counters = readStamp<Counters>(metadata, 'counters', file);
  const average = groups.a.size > 0 ? groups.a : undefined;
  return { params: groups.p, m: groups.m, v: groups.v, average, counters };
}

/** Replaces the best weights. The tensors are not copied: leave them alone until they are written. */
export async function saveModel(files: Files, tensors: Tensors, standing: Standing): Promise<void> {
  await commit(files, { [MODEL]: encodePieces(tensors, stamp('standing', standing)) });
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
  // Models of ratings that read attributes have a row for unrated items; `attune items add` makes such catalogues larger.
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
  const remembering = await loadRemembering(files, config);
  if (!remembering && config.hyperparameters.memory === 'on' && weights.note === null) {
    weights.note = `${files.where}: its training has not ended, so that the memory is not blended in yet: the transformer scores alone`;
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
  const ranking = config.task === undefined ? await loadRanking(files, weights, items.length, config) : null;
  if (!files.listed && !files.files.checked)
    weights.note ??= `${files.where}: made before folders had a manifest, so damage to its files may go unnoticed (attune pack and attune unpack make a copy with one)`;
  return { config, items, tensors, path, features, prior, remembering, ranking, weights };
}

/** The ranker, unless it was trained on top of other weights, of fewer items, or before: left aside then, with a note. */
async function loadRanking(
  files: Snapshot,
  weights: LoadedModel['weights'],
  items: number,
  config: ModelConfig,
): Promise<StoredRanker | null> {
  const known = Math.min(items, config.data.items);
  const ranking = await loadRanker(files, known, checkSettings(config.hyperparameters));
  if (!ranking) return null;
  // Added items stand on their attributes alone, which a ranker may not read.
  const aside =
    known < items && !ranking.schema
      ? 'items were added since'
      : !ranking.shape.rankerItems
        ? 'its ranker was made by an earlier version'
        : ranking.stages.step !== weights.step
          ? 'the encoder was trained since'
          : null;
  if (!aside) return ranking;
  weights.note ??= `${files.where}: ${aside}, so that its ranker is left aside: the first stage ranks alone (a training with ${option('resume')} and ${option('ranker')} makes a new one)`;
  return null;
}

async function loadRemembering(files: Snapshot, { blend, data }: ModelConfig): Promise<LoadedModel['remembering']> {
  if (!blend) return null;
  const memory = await loadTransitions(files, data.items);
  if (!memory)
    throw new InputError('damaged-model', `${files.where}: there is no ${MEMORY} in it, which its ${CONFIG} blends`, {
      hint: 'train it again',
    });
  return { memory, blend };
}

/** Writes how attributes speak for cold items into config.json. */
export async function saveAttributeModel(files: Files, attributeMemory: AttributeModel): Promise<void> {
  const config = await loadConfig(files);
  await commit(files, { [CONFIG]: configText({ ...config, attributeMemory }) });
}

/** Appends items to items.json. */
export async function appendItems(files: Files, added: readonly Item[]): Promise<void> {
  await commit(files, { [ITEMS]: itemsText([...(await loadItems(files)), ...added]) });
}

const configText = (config: ModelConfig): string => `${JSON.stringify(config, null, 2)}\n`;

function itemsText(items: readonly Item[]): string {
  const rows = items.map((item) => JSON.stringify(item));
  return `{"formatVersion":${FORMAT_VERSION},"items":[\n${rows.join(',\n')}\n]}\n`;
}

/** Writes the blend into config.json. */
export async function saveBlend(files: Files, blend: Blend): Promise<void> {
  const config = await loadConfig(files);
  await commit(files, { [CONFIG]: configText({ ...config, blend }) });
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

/** @throws InputError when the folder is no model or comes from a newer Attune */
export async function loadConfig(source: Source): Promise<ModelConfig> {
  const { value, path } = await readJson(source, CONFIG);
  const config = value as ModelConfig | null;
  if (typeof config?.formatVersion !== 'number' || typeof config.attune !== 'string') {
    throw new InputError('not-a-model', `${path}: not the config of an Attune model`);
  }
  if (config.formatVersion !== FORMAT_VERSION) {
    throw new InputError(
      'unsupported',
      `${path}: made by Attune ${config.attune} in format ${config.formatVersion}, this version reads ${FORMAT_VERSION}`,
      { hint: 'update Attune' },
    );
  }
  checkConfig(config, path);
  const ranking = config.task === undefined;
  config.hyperparameters = renamed(ranking ? SETTINGS : RATING, config.hyperparameters);
  if (ranking) checkSettings(config.hyperparameters, `${path}: `);
  else storedRatingSettings(config.hyperparameters, `${path}: `);
  return config;
}

/** Rows of items.json. @throws InputError */
export async function loadItems(source: Source): Promise<Item[]> {
  const { value, path } = await readJson(source, ITEMS);
  const items = (value as { items?: unknown } | null)?.items;
  const fail = (what: string) => new InputError('damaged-model', `${path}: ${what}`);
  if (!Array.isArray(items)) throw fail('not the items of an Attune model');
  const ids = new Set<string>();
  items.forEach((item: Partial<Item> | null, row) => {
    if (typeof item?.id !== 'string' || typeof item.title !== 'string' || typeof item.attributes !== 'object') {
      throw fail(`row ${row}: expected {id, title, attributes}`);
    }
    if (item.count !== undefined && !(Number.isInteger(item.count) && item.count >= 0)) {
      throw fail(`row ${row}: the count must be a whole number from 0 on`);
    }
    if (ids.has(item.id)) throw fail(`row ${row}: the ID ${JSON.stringify(item.id)} stands there twice`);
    ids.add(item.id);
  });
  return items as Item[];
}

/** Adds a line to metrics.jsonl; `record` should name its `step`. */
export async function appendMetrics(files: Files, record: Record<string, unknown>): Promise<void> {
  await files.append(METRICS, `${JSON.stringify(record)}\n`);
}

/** The lines of metrics.jsonl; a torn last line is left out. */
export async function readMetrics(files: Files): Promise<Record<string, unknown>[]> {
  const bytes = await files.read(METRICS);
  const lines = new TextDecoder().decode(bytes?.subarray(0, bytes.lastIndexOf(0x0a) + 1)).split('\n');
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      throw new InputError('damaged-model', `${files.where}/${METRICS}:${index + 1}: not a line of JSON`);
    }
  });
}

/** Drops the lines after `step`: a training that goes on from a checkpoint writes them again. */
export async function trimMetrics(files: Files, step: number): Promise<void> {
  const records = await readMetrics(files);
  const kept = records.filter((record) => !(typeof record.step === 'number' && record.step > step));
  if (kept.length === records.length) return;
  await files.write(METRICS, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

function stamp(key: string, value: object): Map<string, string> {
  const json = JSON.stringify(value, (name, inner) => {
    if (typeof inner === 'number' && !Number.isFinite(inner)) throw new Error(`folder: ${key}.${name} is ${inner}`);
    return inner;
  });
  return new Map([
    ['format', 'attune'],
    [key, json],
  ]);
}

function readStamp<T extends { step: number }>(metadata: Map<string, string>, key: string, file: string): T {
  try {
    const value = JSON.parse(metadata.get(key) ?? '') as T;
    if (Number.isInteger(value.step)) return value;
  } catch {
    // told below
  }
  throw new InputError('not-a-model', `${file}: not written by Attune (its header lacks "${key}")`);
}

async function readJson(source: Source, part: Part): Promise<{ value: unknown; path: string }> {
  return withSnapshot(source, async (snapshot) => {
    const bytes = await snapshot.read(part);
    if (!bytes)
      throw new InputError('not-a-model', `${snapshot.where}: not a model folder (there is no ${part} in it)`);
    const path = snapshot.pathOf(part);
    try {
      return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown, path };
    } catch (error) {
      throw new InputError('damaged-model', `${path}: cut short or damaged (${(error as Error).message})`);
    }
  });
}

async function madeHere(files: Files, name: string): Promise<boolean> {
  const bytes = await files.read(name);
  if (!bytes) return false;
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown> | null;
    return typeof value?.formatVersion === 'number' && (name !== CONFIG || typeof value.attune === 'string');
  } catch {
    return false;
  }
}
