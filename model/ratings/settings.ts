/** Settings of the rating transformer, for `task` rating and ctr. */
import {
  badSetting,
  checkDeclared,
  checkHeadWidth,
  defaultsOf,
  integer,
  number,
  renamed,
  type Values,
  withText,
} from '../recipes/setting.ts';

export const RATING = {
  d: integer(64, 4, 1024, 'width D'),
  heads: integer(2, 1, 64, 'attention heads; their width D / heads is a multiple of 4, at most 128'),
  ff: integer(128, 4, 8192, 'feed-forward width'),
  blocks: integer(1, 0, 16, 'self-attention blocks over the known ratings'),
  cross: integer(1, 1, 16, 'cross-attention blocks of the targets'),
  dropout: number(0.1, 0, 0.95, 'dropout'),
  idDropout: number(0.2, 0, 0.95, 'share of items represented by attributes alone in training'),
  sideDropout: number(0.1, 0, 0.95, 'share of users and events without their features in training'),
  window: integer(96, 2, 4096, 'most ratings of a window'),
  share: number(0.3, 0.01, 0.99, 'share of a training window that is hidden'),
  budget: integer(2048, 16, 65536, 'known ratings in a batch; half as many targets', { alias: 'maxTokens' }),
  epochs: integer(15, 1, 100000, 'epochs; the learning rate falls by a cosine until the end of the last'),
  learningRate: number(0.002, 1e-9, 10, 'of AdamW'),
  warmup: integer(50, 0, 1e9, 'steps over which the learning rate rises'),
  weightDecay: number(0.01, 0, 10, 'decoupled weight decay'),
  clip: number(1, 1e-6, 1e6, 'largest global norm of the gradient'),
  factors: integer(12, 1, 256, "the baseline's factors besides the biases"),
  sweeps: integer(15, 1, 10000, "passes of the baseline's alternating least squares"),
  parts: integer(5, 2, 100, 'parts of the training ratings, each predicted by the baseline from the others'),
};

export type RatingSettings = Values<typeof RATING>;

const DEFAULTS: RatingSettings = defaultsOf(RATING);

/**
 * What suits a log of this size, with overrides: a larger log needs fewer epochs, since each has more steps; a small one
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
  return checkRatingSettings(withText(RATING, settings, overrides));
}

/** Those of a model's config; earlier versions had fewer. @throws InputError */
export function storedRatingSettings(
  stored: Readonly<Record<string, unknown>>,
  where = 'config.json: ',
): RatingSettings {
  return checkRatingSettings({ ...DEFAULTS, ...renamed(RATING, stored) } as RatingSettings, where);
}

/** @throws InputError */
export function checkRatingSettings(settings: RatingSettings, where?: string): RatingSettings {
  const fail = (key: string, what: string): never => {
    throw badSetting(key, settings[key as keyof RatingSettings], what, where);
  };
  for (const key of Object.keys(settings)) if (!Object.hasOwn(RATING, key)) fail(key, 'unknown setting');
  checkDeclared(RATING, settings, fail);
  const { d, heads, ff, budget, window } = settings;
  checkHeadWidth(d, heads, fail);
  if (ff % 4 !== 0) fail('ff', 'expected a multiple of 4');
  if (window > budget) fail('window', `a batch of ${budget} ratings cannot hold it; raise budget`);
  return settings;
}
