/**
 * The ranker's file. It holds all of the second stage, so that no two files must match: its weights, those of its own
 * encoder (`encoder.NAME`), the schema of the items' attributes that it reads, and how it joins the first stage.
 */
import type { Files } from '../storage/files.ts';
import { damaged, InputError } from '../../data/errors.ts';
import { encodeItems, type ItemFeatures } from '../../data/features/encoder.ts';
import { itemTokens } from '../../data/features/item-tokens.ts';
import type { Schema } from '../../data/features/schema.ts';
import type { CatalogItem } from '../../data/formats/catalog.ts';
import type { Device } from '../../engine/index.ts';
import { Ranker } from './ranker.ts';
import type { Settings } from '../recipes/settings.ts';
import { encodePieces, type StoredTensor } from '../storage/safetensors.ts';
import { commit, type Source } from '../storage/manifest.ts';
import { checkNames, checkParameters, readMetadata, readTensors } from '../storage/tensors.ts';
import { SequenceModel, toArrays } from '../encoders/sequence-model.ts';
import { RankerNetwork, type RankerShape } from './network.ts';
import { checkRanker, RANKER, type RankerSettings } from '../recipes/ranker-settings.ts';
import { defaultsOf } from '../recipes/setting.ts';

export const RANKER_FILE = 'ranker.safetensors';
const ENCODER = 'encoder.';

/** How the ranker joins the first stage, and what it was fitted on. */
export interface Stages {
  /** w: score = first stage + w · f of the ranker, among the first stage's best k′. */
  weight: number;
  /** Steps of the weights. */
  step: number;
  /**
   * Users of the validation, and their metrics: of the first stage, of the ranker alone among its candidates, and of both at
   * the weight; and the standard error of what both gain in NDCG@10. The weight is 0 where no gain is more than its error.
   */
  fitted: { users: number; error: number } & Record<'retrieval' | 'ranker' | 'both', Record<string, number>>;
}

export const rankerShapeOf = ({ d, ff, window, ...s }: Settings): RankerShape => {
  const own = Object.fromEntries(Object.entries(s).filter(([key]) => key.startsWith('ranker')));
  return { ...(own as unknown as RankerSettings), d, ff, window };
};

/** Mark of a file whose ranker is still being trained; `finishRanker` takes it away. */
const UNFINISHED = 'unfinished';

/** Replaces the ranker's file by one that is not finished. */
export async function saveRanker(files: Files, ranker: Ranker, schema: Schema | null, stages: Stages): Promise<void> {
  const tensors = new Map<string, StoredTensor>();
  for (const parameters of ranker.arenas) {
    const prefix = parameters === ranker.parameters ? '' : ENCODER;
    for (const [name, data] of await parameters.read('params'))
      tensors.set(`${prefix}${name}`, { shape: [...parameters.shapeOf(name)], data });
  }
  const about = { shape: ranker.shape, stages, schema };
  const metadata = new Map(Object.entries(about).map(([key, value]) => [key, JSON.stringify(value)]));
  metadata.set('format', 'attune').set(UNFINISHED, 'true');
  await commit(files, { [RANKER_FILE]: encodePieces(tensors, metadata) });
}

/** Its training has ended. */
export async function finishRanker(files: Files): Promise<void> {
  const stored = await readTensors(files, RANKER_FILE);
  if (!stored?.metadata.delete(UNFINISHED)) return;
  await commit(files, { [RANKER_FILE]: encodePieces(stored.tensors, stored.metadata) });
}

/** A ranker's weights, not on a device yet. */
export interface StoredRanker {
  shape: RankerShape;
  stages: Stages;
  /** Of the items' attributes; null where it reads none. */
  schema: Schema | null;
  tensors: Map<string, StoredTensor>;
  /** Whether its training was interrupted; it ranks as well as it has learned to. */
  unfinished: boolean;
  /** Its file, for messages. */
  path: string;
}

/**
 * @param items that the ranker has rows of
 * @param model settings of the encoder that it ranks after
 * @returns null when the folder has none
 * @throws InputError, one line, when the file is damaged, or that of another model
 */
export async function loadRanker(
  source: Source,
  items: number,
  model: Pick<Settings, 'd' | 'ff' | 'window' | 'direction'>,
): Promise<StoredRanker | null> {
  const stored = await readTensors(source, RANKER_FILE);
  if (!stored) return null;
  const { tensors, metadata, path: file } = stored;
  const about = readMetadata<RankerShape>(metadata, 'shape');
  const stages = readMetadata<Stages>(metadata, 'stages');
  const weight = Number(stages?.weight);
  if (!about || !stages || !(weight >= 0 && Number.isFinite(weight)))
    throw new InputError('not-a-model', `${file}: not the ranker of an Attune model`);
  // Rankers of earlier versions lack later settings; the caller ignores one without rankerItems.
  const shape: RankerShape = { ...about };
  if (shape.rankerItems) {
    for (const key of ['d', 'ff', 'window'] as const)
      if (shape[key] !== model[key])
        throw new InputError(
          'mismatched-data',
          `${file}: made for ${key}=${shape[key]}, the model has ${key}=${model[key]}; it comes from another model`,
        );
    checkRanker({ ...defaultsOf(RANKER), ...shape, direction: model.direction }, `${file}: `);
  }
  const table = tensors.get('items.weight');
  if (table?.shape[0] !== items || table.shape[1] !== model.d) {
    throw new InputError(
      'mismatched-data',
      `${file}: made for ${table?.shape.join(' × ')} items and columns, the model has ${items} × ${model.d}; it comes from another model`,
    );
  }
  const schema = readMetadata<Schema>(metadata, 'schema');
  if (tensors.has('attributes.weight') && !Array.isArray(schema?.columns))
    damaged(file)("damaged (the schema of the items' attributes is missing)");
  return { shape, stages, schema, tensors, unfinished: metadata.has(UNFINISHED), path: file };
}

/** What a ranker is built on: the model's settings, and its items. */
export interface RankerBase {
  settings: Settings;
  items: readonly CatalogItem[];
  /** As the item tower reads them. */
  features: ItemFeatures | null;
}

/** A stored ranker on a device. @throws InputError where a weight is missing or does not fit */
export function rankerOf(device: Device, stored: StoredRanker, { settings, items, features }: RankerBase): Ranker {
  const { shape, schema, tensors, path } = stored;
  const known = tensors.get('items.weight')?.shape[0] as number;
  const attributes = schema && itemTokens(encodeItems(schema, items));
  const own = within(tensors, ENCODER);
  const others = new Map([...tensors].filter(([name]) => !name.startsWith(ENCODER)));
  const { parameters } = new RankerNetwork(shape, { items: known, attributes: attributes?.rows ?? 0 });
  checkParameters(others, parameters.declared, path);
  if (shape.rankerEncoder === 'frozen') checkNames(own, [], path);
  let encoder: SequenceModel | null = null;
  try {
    if (shape.rankerEncoder === 'own')
      encoder = SequenceModel.load(device, settings, items.length, own, features, `${path} (its own encoder)`);
    const parts = { items: items.length, known, attributes, own: encoder, table: null, seed: 0 };
    const ranker = new Ranker(device, shape, parts);
    ranker.parameters.load('params', toArrays(others));
    return ranker;
  } catch (error) {
    encoder?.dispose();
    throw error;
  }
}

const within = (tensors: ReadonlyMap<string, StoredTensor>, prefix: string): Map<string, StoredTensor> =>
  new Map([...tensors].flatMap(([name, t]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), t]] : [])));
