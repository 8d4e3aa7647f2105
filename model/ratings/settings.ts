/** Settings of the rating transformer, for the tasks `rating` and `ctr`. */
import { InputError } from '../../data/errors.ts';
import { badSetting, checkRanges, integer, number, type Ranges } from '../recipes/setting-range.ts';

export interface RatingSettings {
  /** Width D, heads, and width of the feed-forward part. */
  d: number;
  heads: number;
  ff: number;
  /** Self-attention blocks over the known ratings; cross-attention blocks of the targets. */
  blocks: number;
  cross: number;
  dropout: number;
  /** Share of the items, and of the users' and events' columns, that are hidden in training where a model reads them. */
  idDropout: number;
  sideDropout: number;
  /** Most ratings of a window. */
  window: number;
  /** Share of a training window that is hidden. */
  share: number;
  /** Known ratings in a batch; half as many targets. */
  budget: number;
  epochs: number;
  learningRate: number;
  /** Steps over which the learning rate rises; it falls by a cosine until the last epoch's end. */
  warmup: number;
  weightDecay: number;
  clip: number;
  /** Of the baseline: how many beside the biases, how often both sides are gone through, and in how many parts the
   *  training ratings are predicted from the others. */
  factors: number;
  sweeps: number;
  parts: number;
}

const DEFAULTS: RatingSettings = {
  d: 64,
  heads: 2,
  ff: 128,
  blocks: 1,
  cross: 1,
  dropout: 0.1,
  idDropout: 0.2,
  sideDropout: 0.1,
  window: 96,
  share: 0.3,
  budget: 2048,
  epochs: 15,
  learningRate: 0.002,
  warmup: 50,
  weightDecay: 0.01,
  clip: 1,
  factors: 12,
  sweeps: 15,
  parts: 5,
};

const RANGES: Ranges<RatingSettings> = {
  d: integer(4, 1024),
  heads: integer(1, 64),
  ff: integer(4, 8192),
  blocks: integer(0, 16),
  cross: integer(1, 16),
  dropout: number(0, 0.95),
  idDropout: number(0, 0.95),
  sideDropout: number(0, 0.95),
  window: integer(2, 4096),
  share: number(0.01, 0.99),
  budget: integer(16, 65536),
  epochs: integer(1, 100000),
  learningRate: number(1e-9, 10),
  warmup: integer(0, 1e9),
  weightDecay: number(0, 10),
  clip: number(1e-6, 1e6),
  factors: integer(1, 256),
  sweeps: integer(1, 10000),
  parts: integer(2, 100),
};

/**
 * What suits a log of this size, with what the user set over it: a larger log needs fewer epochs, since each has more steps; a small one
 * smaller batches.
 * @throws InputError that names the setting and what there is
 */
export function ratingSettings(ratings: number, overrides: Readonly<Record<string, string>> = {}): RatingSettings {
  const settings: RatingSettings = {
    ...DEFAULTS,
    epochs: Math.max(4, Math.min(30, Math.round((15 * 80_000) / Math.max(1, ratings)))),
    parts: ratings > 500_000 ? 4 : 5,
    // A small log is starved of steps by large batches.
    budget: ratings < 20_000 ? 512 : ratings < 40_000 ? 1024 : DEFAULTS.budget,
  };
  for (const [key, text] of Object.entries(overrides)) {
    if (!Object.hasOwn(RANGES, key)) {
      throw new InputError(
        'invalid-value',
        `models of ratings have no such setting; there is ${Object.keys(RANGES).join(', ')}`,
        { setting: `settings.${key}`, value: text },
      );
    }
    settings[key as keyof RatingSettings] = text.trim() === '' ? Number.NaN : Number(text);
  }
  return checkRatingSettings(settings);
}

/** Those of a model's config; earlier versions had fewer. @throws InputError */
export function storedRatingSettings(
  stored: Readonly<Record<string, unknown>>,
  where = 'config.json: ',
): RatingSettings {
  return checkRatingSettings({ ...DEFAULTS, ...stored } as RatingSettings, where);
}

/** @throws InputError */
export function checkRatingSettings(settings: RatingSettings, where?: string): RatingSettings {
  const fail = (key: string, what: string): never => {
    throw badSetting(key, settings[key as keyof RatingSettings], what, where);
  };
  for (const key of Object.keys(settings)) if (!Object.hasOwn(RANGES, key)) fail(key, 'unknown setting');
  checkRanges(settings, RANGES, fail);
  const { d, heads, ff, budget, window } = settings;
  if (d % heads !== 0 || (d / heads) % 4 !== 0 || d / heads > 128) {
    throw new InputError(
      'invalid-value',
      `${where}d=${d}, heads=${heads}: the width of a head, d / heads, must be a multiple of 4 up to 128`,
    );
  }
  if (ff % 4 !== 0) throw new InputError('invalid-value', `${where}ff=${ff}: expected a multiple of 4`);
  if (window > budget)
    throw new InputError('invalid-value', `${where}window=${window}: expected at most the budget, ${budget}`);
  return settings;
}
