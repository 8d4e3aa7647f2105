/** `attune items add`: new items for a trained model with an item tower, without training. */
import { encodeItems } from '../data/features.ts';
import { InputError } from '../data/errors.ts';
import { appendItems, type Item, loadModel } from '../model/folder.ts';
import { NodeFiles } from '../serve/files.node.ts';
import { lockFolder } from '../serve/lock.node.ts';
import { Output } from './common.ts';
import { examples, openItems } from './data.ts';
import { addVectors } from './item-vectors.ts';
import { formatCount, printable } from './ui.ts';

export interface ItemsFlags {
  model: string;
  items: string;
  vectors?: string[];
  json?: boolean;
}

export async function runItemsAdd(flags: ItemsFlags): Promise<void> {
  const out = new Output(flags.json);
  const files = await NodeFiles.open(flags.model);
  const lock = await lockFolder(flags.model);
  try {
    const { config, items } = await loadModel(files);
    const schema = config.schema.items;
    if (config.hyperparameters.items !== 'tower' || !schema) {
      throw new InputError(
        `${flags.model}: its items are embeddings alone, so that new ones need training; train it with --items PATH --set items=tower`,
      );
    }
    if (config.protocol === 'cold-items') {
      throw new InputError(
        `${flags.model}: trained under the protocol cold-items, to be evaluated; train one under another protocol to serve`,
      );
    }
    const known = new Set(items.map(({ id }) => id));
    const infos = await openItems(flags.items);
    if (flags.vectors) await addVectors(infos, flags.vectors);
    const added = [...infos]
      .filter(([id]) => !known.has(id))
      .map(([id, info]): Item => ({ id, title: info.title, attributes: info.attributes, count: 0 }));
    const there = infos.size - added.length;
    const source = printable(flags.items);
    if (added.length === 0) throw new InputError(`${source}: the model knows all of its ${formatCount(there)} items`);
    const { unseen, itemStarts } = encodeItems(schema, added);
    for (const [name, count] of unseen) {
      out.warn(
        `${source}: ${formatCount(count)} values of ${printable(name)} are new to the model and count as unknown`,
      );
    }
    // Every item has a token of its own; those with nothing else cannot be told apart.
    const blank = added.filter((_, v) => itemStarts[v + 1] - itemStarts[v] === 1).map(({ id }) => id);
    if (blank.length > 0) out.warn(`${source}: nothing is known of ${formatCount(blank.length)}: ${examples(blank)}`);
    await appendItems(files, added);
    const total = items.length + added.length;
    out.object({ added: added.length, known: there, items: total, unseen: Object.fromEntries(unseen) });
    out.line(
      `${formatCount(added.length)} items added to ${flags.model}, ${formatCount(total)} in all` +
        `${there > 0 ? `; ${formatCount(there)} were there before and stay as they are` : ''}.`,
    );
  } finally {
    await lock.release();
  }
}
