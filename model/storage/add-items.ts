/** New items for a trained model that reads attributes (with an item tower, or of ratings), without training. */
import { InputError, option } from '../../data/errors.ts';
import { encodeItems } from '../../data/features/encoder.ts';
import type { Files } from './files.ts';
import { appendItems, type Item } from './config.ts';
import { loadModel } from './load-model.ts';

export interface AddedItems {
  added: number;
  /** Those that the model knew; they stay as they are. */
  known: number;
  /** Items of the model now. */
  items: number;
  /** Attribute → values that the model has never seen; they count as unknown. */
  unseen: Map<string, number>;
  /** IDs of added items without attributes: the model cannot distinguish them. */
  blank: string[];
}

/**
 * Adds items to a model folder. They are recommended by their attributes, read by the schema of the training.
 *
 * @throws InputError where the model reads no attributes, or knows all of the items
 */
export async function addItems(files: Files, items: Iterable<Omit<Item, 'count' | 'cold'>>): Promise<AddedItems> {
  const loaded = await loadModel(files);
  const { config } = loaded;
  const schema = config.schema.items;
  if (!schema) {
    const tower = config.task === undefined ? ` and ${option('settings.items', 'tower')}` : '';
    throw new InputError(
      'unsupported',
      `${files.where}: its items are embeddings alone, so that new ones need training`,
      { hint: `train it with items that have attributes (${option('items', 'PATH')})${tower}` },
    );
  }
  if (config.protocol === 'cold-items') {
    throw new InputError('unsupported', `${files.where}: trained under the protocol cold-items, to be evaluated`, {
      hint: 'train one under another protocol to serve',
    });
  }
  const known = new Set(loaded.items.map(({ id }) => id));
  const all = Array.from(items);
  const added = all
    .filter(({ id }) => !known.has(id))
    .map(({ id, title, attributes }): Item => ({ id, title, attributes, count: 0 }));
  const there = all.length - added.length;
  if (added.length === 0)
    throw new InputError(
      'already-exists',
      `${files.where}: the model knows all of these ${there} items; there is nothing to add`,
    );
  const { unseen, itemStarts } = encodeItems(schema, added);
  // Every item has a token of its own; those with nothing else cannot be distinguished.
  const blank = added.filter((_, v) => itemStarts[v + 1] - itemStarts[v] === 1).map(({ id }) => id);
  await appendItems(files, added);
  return { added: added.length, known: there, items: loaded.items.length + added.length, unseen, blank };
}
