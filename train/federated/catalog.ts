/** A model for a catalog that no event has trained: what a federation from nothing starts from. */
import { InputError } from '../../data/errors.ts';
import { FINAL } from '../../data/splits/protocol.ts';
import { Device } from '../../engine/index.ts';
import { SequenceModel, storedTensors } from '../../model/encoders/sequence-model.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { saveModel } from '../../model/storage/checkpoint.ts';
import type { Item } from '../../model/storage/config.ts';
import type { Files } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { newConfig } from '../model-config.ts';
import type { TrainingItem } from '../events.ts';

export interface UntrainedOptions {
  /** `sasrec` by default. */
  recipe?: string;
  /** Over those of the recipe, as text. */
  settings?: Readonly<Record<string, string>>;
  /** Of the weights; 1 by default. */
  seed?: number;
  /** Name of the catalog in config.json. */
  source?: string;
  overwrite?: boolean;
}

/**
 * Writes a model with weights drawn from the seed, of a catalog alone. There are no item transitions: they are counted from a
 * log.
 * @throws InputError where there are fewer than two items, or an ID twice
 */
export async function untrainedModel(
  files: Files,
  catalog: Iterable<TrainingItem>,
  { recipe = 'sasrec', settings: given = {}, seed = 1, source = 'catalog', overwrite }: UntrainedOptions = {},
): Promise<void> {
  const items = Array.from(
    catalog,
    ({ id, title = id, attributes = {} }): Item => ({ id, title, attributes, count: 0 }),
  );
  if (items.length < 2)
    throw new InputError('too-little-data', `${source}: expected two items at least, got ${items.length}`);
  const seen = new Set<string>();
  for (const { id } of items) {
    if (seen.has(id)) throw new InputError('invalid-data', `${source}: the item ${JSON.stringify(id)} is in it twice`);
    seen.add(id);
  }
  const settings = settingsFor(recipe, { ...given, memory: 'off' });
  const about = { recipe, settings, source, columns: {}, minInteractions: 1, protocol: FINAL, seed };
  const report = { users: 0, items: items.length, interactions: 0 };
  const config = newConfig({ ...about, seen: 'excluded' }, { report }, items);
  const device = await Device.open({ backend: 'cpu' });
  try {
    const model = SequenceModel.create(device, settings, items.length, seed);
    const tensors = await storedTensors(model, 'params');
    model.dispose();
    await createFolder(files, { ...config, device: device.name }, items, { overwrite });
    await saveModel(files, tensors, { step: 0, epoch: 0, metrics: null });
  } finally {
    device.close();
  }
}
