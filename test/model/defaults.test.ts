import { describe, expect, it } from 'vitest';
import { chooseRecipe, type LogSize } from '../../model/recipes/defaults.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';

const SMALL: LogSize = { items: 1349, positions: 96_458, length90: 240 };

describe('what is trained where nobody said', () => {
  it.each<[string, LogSize, Record<string, unknown>]>([
    ['a small log', SMALL, { d: 64, window: 200, budget: 2048, loss: 'softmax' }],
    [
      'a middling one',
      { items: 3416, positions: 981_491, length90: 400 },
      { d: 64, budget: 4096, loss: 'sampled-softmax', negatives: 512 },
    ],
    ['short histories', { ...SMALL, length90: 7 }, { window: 10 }],
    ['histories of one length', { ...SMALL, length90: 50 }, { window: 50 }],
    ['a tiny log', { items: 9, positions: 12, length90: 3 }, { budget: 1024, window: 10 }],
    ['a large catalog', { ...SMALL, items: 200_000 }, { loss: 'sampled-softmax', negatives: 1024 }],
    [
      'a large log',
      { items: 9000, positions: 2e7, length90: 80 },
      { d: 128, window: 100, budget: 4096, negatives: 512 },
    ],
  ])('%s', (_name, size, wanted) => {
    const { recipe, settings, reasons } = chooseRecipe(size);
    expect(settingsFor(recipe, settings)).toMatchObject(wanted);
    expect(reasons.length).toBeGreaterThanOrEqual(4);
  });

  it('gives way to what the user sets', () => {
    const { recipe, settings } = chooseRecipe(SMALL);
    expect(settingsFor(recipe, { ...settings, window: '30', ema: '0' })).toMatchObject({ window: 30, ema: 0 });
  });

  it('shares negatives by the whole batch where the user sets a batch that the recipe cannot divide', () => {
    const given = { budget: '64' };
    const { recipe, settings } = chooseRecipe({ ...SMALL, items: 50_000 }, given);
    expect(settingsFor(recipe, { ...settings, ...given })).toMatchObject({ budget: 64, negativeGroup: 0, window: 50 });
  });

  it('takes a batch that holds the window that the user sets', () => {
    const given = { window: '2000' };
    const { recipe, settings } = chooseRecipe({ ...SMALL, positions: 100 }, given);
    expect(settingsFor(recipe, { ...settings, ...given })).toMatchObject({ budget: 2048, window: 2000 });
  });
});
