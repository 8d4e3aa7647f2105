/** A loaded model with another catalog: what changes while it serves. */
import { InputError } from '../../data/errors.ts';
import { encodeItems } from '../../data/features/encoder.ts';
import type { Item } from './config.ts';
import type { LoadedModel } from './load-model.ts';

/**
 * The same model with another catalog: titles and attributes anew, and more items after its own where it reads attributes.
 * @throws InputError where the rows of its own items are not first, or more items come that it cannot read
 */
export function withCatalog(loaded: LoadedModel, items: Item[]): LoadedModel {
  const { config, ranker } = loaded;
  const own = loaded.items.length;
  if (items.length < own || loaded.items.some(({ id }, row) => items[row].id !== id))
    throw new InputError('mismatched-data', "expected the model's own items first");
  const schema = config.hyperparameters.items === 'tower' ? config.schema.items : undefined;
  if (items.length > own && !schema)
    throw new InputError('unsupported', 'the model reads no attributes, so that more items need training');
  // A ranker that reads IDs alone knows nothing of more items: loading one leaves it aside, too.
  const kept = items.length === own || ranker?.schema ? ranker : null;
  return { ...loaded, items, ranker: kept, features: schema ? encodeItems(schema, items) : null };
}
