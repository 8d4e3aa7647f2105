/**
 * A log in which the cause of an event is known: after A3 each next event is B3 with probability ½, and noise until then, so
 * that only A3 tells of B3, and not how many events of noise lie between them.
 */
import { seeded } from '../../data/random.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { folderOf, splitOf } from '../train/small.ts';
import { trainStages } from '../train/stages.ts';
import { set } from '../set.ts';

const PAIRS = 4;
const NOISE = 12;

export function causes(users = 150, length = 18): Split {
  const random = seeded(7, 1);
  const noise = (): string => `N${random.below(NOISE)}`;
  const histories = Array.from({ length: users }, () => {
    const all: string[] = Array.from({ length: random.below(5) }, noise);
    while (all.length < length) {
      const pair = random.below(PAIRS);
      all.push(`A${pair}`);
      while (random.chance(0.5)) all.push(noise());
      all.push(`B${pair}`, noise());
    }
    return all.slice(0, length);
  });
  const itemIds = [...new Set(histories.flat())].sort();
  return splitOf(
    histories.map((history) => history.map((id) => itemIds.indexOf(id))),
    itemIds.length,
    { itemIds },
  );
}

/** A history after which B2 is likeliest, since A2 is in it; and the position of A2. */
export const HISTORY = ['N1', 'A0', 'N3', 'N5', 'B0', 'N2', 'A2', 'N7', 'N4'];
export const CAUSE = 6;

/** Trains a small model on it. */
export async function learned(device: Device, recipe: string, more: Record<string, string> = {}, epochs = 40) {
  const split = causes();
  const settings = settingsFor(recipe, {
    ...set(
      'd=16 ff=32 blocks=2 heads=1 window=12 budget=512 learningRate=0.01 validateSteps=1000 dropout=0 loss=softmax similarity=dot memory=off',
    ),
    ...more,
  });
  const kinds = (id: string): Record<string, string> => ({
    kind: id.startsWith('N') ? 'noise' : `pair ${id.slice(1)}`,
  });
  const items = split.dataset.itemIds.map((id) => ({ id, title: `<${id}> & co`, attributes: kinds(id) }));
  const files = await folderOf(split, settings, { recipe, items });
  const result = await trainStages({ device, files, split, settings, epochs });
  return { files, result };
}
