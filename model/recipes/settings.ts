/** All settings of a model, and what they must be. */
import { BLOCKS } from '../encoders/blocks/index.ts';
import { HEADS } from '../heads/index.ts';
import { LOSSES } from '../heads/losses/index.ts';
import { checkEncoder, ENCODER } from './encoder-settings.ts';
import { checkRanker, RANKER, type RankerSettings } from './ranker-settings.ts';
import { badSetting, checkDeclared, defaultsOf, type Kind, renamed, type Values, withText } from './setting.ts';
import { checkNegatives, TRAINING_SETTINGS } from './training-settings.ts';

export type TrainingSettings = Values<typeof TRAINING_SETTINGS>;
/** An interface, so that the tables of blocks, losses and heads may refer to it. */
export interface Settings extends TrainingSettings, RankerSettings, Values<typeof ENCODER> {}

/** The settings in groups, for people to read. */
export const SETTING_GROUPS = [
  { title: 'Encoder and training', settings: ENCODER },
  { title: 'Loss, head, schedule and augmentation', settings: TRAINING_SETTINGS },
  { title: 'The ranker', settings: RANKER },
];

export const SETTINGS = { ...TRAINING_SETTINGS, ...RANKER, ...ENCODER };

/** The settings of the recipe `sasrec`; also what keys mean that a model folder of an earlier version does not have. */
export const DEFAULTS: Settings = defaultsOf(SETTINGS);

/**
 * Settings with others over them, as text.
 * @throws InputError for an unknown key, or a value that makes no model
 */
export const changed = (from: Settings, overrides: Readonly<Record<string, string>>): Settings =>
  checkSettings(withText(SETTINGS, from, overrides));

/**
 * Complete settings: keys that a model folder of an earlier version lacks get the meaning they had then.
 * @param where the file that holds them, for messages; without it they are the caller's
 * @throws InputError for settings that make no model, with one line that says which
 */
export function checkSettings(given: Partial<Settings>, where?: string): Settings {
  const named = renamed(SETTINGS, given as Record<string, number | string>);
  const s = { ...DEFAULTS, memory: 'off', ...named } as Settings;
  const fail = (key: string, what: string): never => {
    throw badSetting(key, s[key as keyof Settings], what, where);
  };
  for (const key of Object.keys(named)) if (!Object.hasOwn(SETTINGS, key)) fail(key, 'unknown setting');
  checkDeclared(SETTINGS, s, fail);
  const kinds: readonly Kind<Settings>[] = [BLOCKS[s.block], LOSSES[s.loss], HEADS[s.head]];
  for (const kind of kinds) kind.check?.(s, fail);
  checkEncoder(s, fail);
  checkNegatives(s, fail);
  checkRanker(s, where);
  return s;
}
