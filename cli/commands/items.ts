/** `attune items add`: new items for a trained model with an item tower, without training. */
import type { ItemsFlags } from './items.flags.ts';
import { addItems } from '../../model/storage/add-items.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { Output } from '../common.ts';
import { examples } from '../../train/side-features.ts';
import { openItems } from '../input/data.ts';
import { addVectors } from '../input/item-vectors.ts';
import { formatCount, printable } from '../output/ui.ts';

export async function runItemsAdd(flags: ItemsFlags): Promise<void> {
  const out = new Output(flags.json);
  const files = await NodeFiles.open(flags.model);
  const lock = await lockFolder(flags.model);
  try {
    const infos = await openItems(flags.items);
    if (flags.vectors) await addVectors(infos, flags.vectors);
    const source = printable(flags.items);
    const given = Array.from(infos, ([id, { title, attributes }]) => ({ id, title, attributes }));
    const { added, known, items, unseen, blank } = await addItems(files, given);
    for (const [name, count] of unseen) {
      out.warn(
        `${source}: ${formatCount(count)} values of ${printable(name)} are new to the model and count as unknown`,
      );
    }
    if (blank.length > 0) out.warn(`${source}: nothing is known of ${formatCount(blank.length)}: ${examples(blank)}`);
    out.object({ added, known, items, unseen: Object.fromEntries(unseen) });
    out.line(
      `${formatCount(added)} items added to ${printable(flags.model)}, ${formatCount(items)} in all` +
        `${known > 0 ? `; ${formatCount(known)} were there before and stay as they are` : ''}.`,
    );
  } finally {
    await lock.release();
  }
}
