/** config.json and items.json of a model folder: everything needed to rebuild the model, but no weights. */
import { damaged, InputError } from '../../data/errors.ts';
import { EVENT_KINDS, type EventColumn } from '../../data/features/event-encoder.ts';
import { COLUMN_TYPES, type Column, type Schema } from '../../data/features/schema.ts';
import { PER_SECOND } from '../../data/formats/times.ts';
import type { RatingTask } from '../../data/ratings/ratings.ts';
import { RATING, storedRatingSettings } from '../ratings/settings.ts';
import { renamed } from '../recipes/setting.ts';
import { checkSettings, SETTINGS } from '../recipes/settings.ts';
import type { AttributeModel } from '../transitions/attribute-model.ts';
import type { Blend } from '../transitions/transitions.ts';
import type { Files } from './files.ts';
import {
  either,
  flag,
  checkInteger,
  listOf,
  checkNumber,
  object,
  oneOf,
  checkRecord,
  checkText,
} from './json-check.ts';
import { commit, type Part, type Source, withSnapshot } from './manifest.ts';

export const FORMAT_VERSION = 1;
export const CONFIG = 'config.json';
export const ITEMS = 'items.json';

/** What config.json holds. Only the blend is written when a training ends; metrics are stored with their weights. */
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
    /** The attribute of items that says which domain they are of. */
    domain?: string;
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
  /** How the item transitions join the transformer; absent while they are off or no training has ended. */
  blend?: Blend;
  /** Present in a model that was made from another one by an update. */
  update?: UpdateRecord;
  /** Present in a model whose training started from the weights of another one (train/transfer). */
  init?: InitRecord;
  /** How its training is divided among workers; absent where one machine trains it. */
  parallel?: Parallel;
  /** How its training keeps users' data private; absent where it does not. */
  privacy?: Privacy;
  /** How attributes rank cold items; present under the protocol cold-items once a training has ended. */
  attributeMemory?: AttributeModel;
}

/** How numbers are exchanged between machines. */
export const EXCHANGES = ['f32', 'f16', 'int8'] as const;
export type Exchange = (typeof EXCHANGES)[number];

/** Data-parallel training by rare synchronization (train/parallel/rounds.ts). */
export interface Parallel {
  /** Partitions of the users, which are trained side by side. */
  workers: number;
  /** Steps of each partition between two synchronizations; 0: all. */
  steps: number;
  /** Of the outer Nesterov step: learning rate and momentum. */
  rate: number;
  momentum: number;
  exchange: Exchange;
}

/** User-level differential privacy of a training (train/privacy/trainer.ts): with one user more or less, it is much the same. */
export interface Privacy {
  /** The guarantee after all steps: (ε, δ). */
  epsilon: number;
  delta: number;
  /** C: the largest norm of a user's gradient, over all weights. */
  clip: number;
  /** σ: the noise's standard deviation over C. */
  noise: number;
  /** q: the probability that a user is in a step. */
  rate: number;
  /** As planned; the weights say how many were taken. */
  steps: number;
  /** The noise's seed, where it can be repeated: nothing is private then. */
  noiseSeed?: number;
}

/** What an update did. */
export interface UpdateRecord {
  /** Where the model was that it started from. */
  from: string;
  /** Updates between this model and the training from nothing, this one included. */
  generation: number;
  /** Events that the earlier model had not seen, and the users and items that it did not know. */
  events: number;
  users: number;
  items: number;
  /** Tokens replayed for each token of a window with new events. */
  replay: number;
  learningRate: number;
}

/** What a training took over from another model. */
export interface InitRecord {
  /** Where that model was, and its version (`modelVersion`). */
  from: string;
  version: string;
  /** How item rows were found: `ids`, `ids:COLUMN`, `attributes`, or `vectors`. */
  map: string;
  /** Items whose rows come from it; all others started from the seed. */
  rows: number;
  /** Share of the variance of rows of that model that the map explains on its items held out; absent where rows are copied. */
  explained?: number;
  /** Epochs in which the item table alone was trained. */
  frozenEpochs: number;
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

/** Larger numbers are no integers any more. */
const MOST = Number.MAX_SAFE_INTEGER;
/** Rows of a matrix are counted in 32 bits. */
const MOST_ROWS = 2 ** 31;
/** Partitions of a training. */
const MOST_WORKERS = 1024;
const share = checkNumber(0, 1);
const finite = checkNumber(-Number.MAX_VALUE);
const metrics = checkRecord(finite);

const column = object<Column>({
  name: checkText,
  type: oneOf(COLUMN_TYPES),
  missing: checkText,
  absent: share,
  unit: { optional: oneOf(Object.keys(PER_SECOND)) },
  decimal: { optional: oneOf([',']) },
  separator: { optional: checkText },
  values: { optional: listOf(checkText) },
  knots: { optional: listOf(finite) },
  mean: { optional: finite },
  deviation: { optional: checkNumber(0) },
  median: { optional: finite },
  buckets: { optional: checkInteger(0, MOST_ROWS) },
  width: { optional: checkInteger(0, MOST_ROWS) },
  centre: { optional: listOf(finite) },
  spread: { optional: checkNumber(0) },
});

const schema = object<Schema>({ titleYear: flag, columns: listOf(column) });

const event = object<EventColumn>({
  name: checkText,
  kind: oneOf(EVENT_KINDS),
  values: { optional: listOf(checkText) },
  knots: { optional: listOf(finite) },
  absent: share,
});

const blend = object<Blend>({
  memory: checkNumber(0),
  epsilon: checkNumber(Number.MIN_VALUE),
  fitted: {
    optional: object<NonNullable<Blend['fitted']>>({
      users: checkInteger(0, MOST),
      transformer: metrics,
      memory: metrics,
      blend: metrics,
    }),
  },
  step: { optional: checkInteger(0, MOST) },
});

const attributeMemory = object<AttributeModel>({
  lambda: checkNumber(0),
  text: checkNumber(0),
  weight: share,
  fitted: object<AttributeModel['fitted']>({
    users: checkInteger(0, MOST),
    transformer: metrics,
    attributes: metrics,
    blend: metrics,
  }),
  step: { optional: checkInteger(0, MOST) },
});

const update = object<UpdateRecord>({
  from: checkText,
  generation: checkInteger(1, MOST),
  events: checkInteger(0, MOST),
  users: checkInteger(0, MOST),
  items: checkInteger(0, MOST_ROWS),
  replay: checkNumber(0),
  learningRate: checkNumber(0),
});

const init = object<InitRecord>({
  from: checkText,
  version: checkText,
  map: checkText,
  rows: checkInteger(0, MOST_ROWS),
  explained: { optional: finite },
  frozenEpochs: checkInteger(0, MOST),
});

const parallel = object<Parallel>({
  workers: checkInteger(1, MOST_WORKERS),
  steps: checkInteger(0, MOST),
  rate: checkNumber(Number.MIN_VALUE),
  momentum: share,
  exchange: oneOf(EXCHANGES),
});

const privacy = object<Privacy>({
  epsilon: checkNumber(Number.MIN_VALUE),
  delta: checkNumber(Number.MIN_VALUE, 1),
  clip: checkNumber(Number.MIN_VALUE),
  noise: checkNumber(0),
  rate: checkNumber(Number.MIN_VALUE, 1),
  steps: checkInteger(1, MOST),
  noiseSeed: { optional: checkInteger(0, MOST) },
});

/** What config.json may hold. A key that is not listed is refused: it is damage, or of a newer version. */
const configCheck = object<ModelConfig>({
  formatVersion: checkInteger(1, MOST),
  attune: checkText,
  created: checkText,
  recipe: checkText,
  task: { optional: oneOf(['rating', 'ctr']) },
  positive: { optional: finite },
  ratingRange: { optional: object<NonNullable<ModelConfig['ratingRange']>>({ least: finite, most: finite }) },
  // Checked as settings: recipes.ts and rating-settings.ts have their ranges.
  hyperparameters: checkRecord(either(checkText, either(finite, flag))),
  schema: object<ModelConfig['schema']>({
    columns: checkRecord(checkText),
    attributes: listOf(checkText),
    items: { optional: schema },
    users: { optional: schema },
    events: { optional: listOf(event) },
    domain: { optional: checkText },
  }),
  data: object<ModelConfig['data']>({
    source: checkText,
    usersFile: { optional: checkText },
    users: checkInteger(0, MOST),
    items: checkInteger(0, MOST_ROWS),
    interactions: checkInteger(0, MOST),
    minInteractions: checkInteger(0, MOST),
    minRating: either(finite, oneOf([null])),
  }),
  protocol: checkText,
  protocolParameters: { optional: checkRecord(either(checkText, finite)) },
  seen: oneOf(['excluded', 'kept']),
  tokenBudget: checkInteger(0, MOST),
  seed: finite,
  device: checkText,
  variants: checkRecord(listOf(checkText)),
  blend: { optional: blend },
  update: { optional: update },
  init: { optional: init },
  parallel: { optional: parallel },
  privacy: { optional: privacy },
  attributeMemory: { optional: attributeMemory },
});

export const configText = (config: ModelConfig): string => `${JSON.stringify(config, null, 2)}\n`;

export function itemsText(items: readonly Item[]): string {
  const rows = items.map((item) => JSON.stringify(item));
  return `{"formatVersion":${FORMAT_VERSION},"items":[\n${rows.join(',\n')}\n]}\n`;
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
  const problem = configCheck(config, '');
  if (problem !== null) damaged(path)(problem);
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
  const fail = damaged(path);
  if (!Array.isArray(items)) return fail('not the items of an Attune model');
  const ids = new Set<string>();
  items.forEach((item: Partial<Item> | null, row) => {
    if (typeof item?.id !== 'string' || typeof item.title !== 'string' || typeof item.attributes !== 'object')
      return fail(`row ${row}: expected {id, title, attributes}`);
    if (item.count !== undefined && !(Number.isInteger(item.count) && item.count >= 0))
      fail(`row ${row}: expected an integer >= 0 as the count, got ${item.count}`);
    if (ids.has(item.id)) fail(`row ${row}: the ID ${JSON.stringify(item.id)} is in it twice`);
    ids.add(item.id);
  });
  return items as Item[];
}

/** Appends items to items.json. */
export async function appendItems(files: Files, added: readonly Item[]): Promise<void> {
  await commit(files, { [ITEMS]: itemsText([...(await loadItems(files)), ...added]) });
}

/** Writes the blend into config.json. */
export async function saveBlend(files: Files, blend: Blend): Promise<void> {
  const config = await loadConfig(files);
  await commit(files, { [CONFIG]: configText({ ...config, blend }) });
}

/** Writes what was taken over from another model into config.json. */
export async function saveInit(files: Files, init: InitRecord): Promise<void> {
  const config = await loadConfig(files);
  await commit(files, { [CONFIG]: configText({ ...config, init }) });
}

/** Writes the attribute model into config.json. */
export async function saveAttributeModel(files: Files, attributeMemory: AttributeModel): Promise<void> {
  const config = await loadConfig(files);
  await commit(files, { [CONFIG]: configText({ ...config, attributeMemory }) });
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
      return damaged(path)(`cut short or damaged (${(error as Error).message})`);
    }
  });
}
