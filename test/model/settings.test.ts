/** Settings are declared once; everything that reads them reads the declarations. */
import { describe, expect, expectTypeOf, it } from 'vitest';
import { RATING_HELP, RECIPE_HELP } from '../../cli/flags/settings-help.ts';
import { BLOCKS } from '../../model/encoders/blocks/index.ts';
import { HEADS } from '../../model/heads/index.ts';
import { LOSSES } from '../../model/heads/losses/index.ts';
import { RATING, ratingSettings, storedRatingSettings } from '../../model/ratings/settings.ts';
import { chooseRecipe } from '../../model/recipes/defaults.ts';
import { RANKER } from '../../model/recipes/ranker-settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { checkSettings, DEFAULTS, SETTINGS, type Settings } from '../../model/recipes/settings.ts';

describe('settings', () => {
  it('have the types that their declarations say, with those of blocks, losses and heads', () => {
    expectTypeOf<Settings['block']>().toEqualTypeOf<keyof typeof BLOCKS>();
    expectTypeOf<Settings['logq']>().toEqualTypeOf<'on' | 'off'>();
    expectTypeOf<Settings['molUser']>().toEqualTypeOf<number>();
    expect(Object.keys(DEFAULTS)).toEqual(Object.keys(SETTINGS));
  });

  it.each([
    ['block', BLOCKS],
    ['loss', LOSSES],
    ['head', HEADS],
  ] as const)('%s may be each entry of its table, whose help and own settings are in the help', (key, table) => {
    for (const [name, { help, settings = {} }] of Object.entries<{ help: string; settings?: object }>(table)) {
      expect(SETTINGS[key].choices).toContain(name);
      expect(RECIPE_HELP).toContain(`${name}: ${help}`);
      for (const own of Object.keys(settings)) expect(SETTINGS).toHaveProperty(own);
    }
    expect(() => settingsFor('sasrec', { [key]: 'nothing' })).toThrow(
      `\`settings.${key}: nothing\`: expected ${Object.keys(table).slice(0, -1).join(', ')} or`,
    );
  });

  it('each is a line of help, but those of the ranker, which is not advertised', () => {
    for (const key of Object.keys(SETTINGS).filter((name) => !Object.hasOwn(RANKER, name)))
      expect(RECIPE_HELP).toMatch(new RegExp(`^  ${key} +\\S.*$`, 'm'));
    for (const key of Object.keys(RATING)) expect(RATING_HELP).toMatch(new RegExp(`^  ${key} +\\S.*$`, 'm'));
  });

  it('are read under their other names, too', () => {
    const renamed = settingsFor('sasrec', { maxTokens: '1024', transitions: 'off' });
    expect(renamed).toEqual(settingsFor('sasrec', { budget: '1024', memory: 'off' }));
    const { budget, memory, ...others } = renamed;
    expect(checkSettings({ ...others, maxTokens: budget, transitions: memory } as Partial<Settings>)).toEqual(renamed);
    const size = { items: 100, positions: 1e6, length90: 500 };
    expect(chooseRecipe(size, { maxTokens: '40' })).toEqual(chooseRecipe(size, { budget: '40' }));
    expect(ratingSettings(100, { maxTokens: '256' }).budget).toBe(256);
    expect(storedRatingSettings({ maxTokens: 256 }).budget).toBe(256);
  });
});
