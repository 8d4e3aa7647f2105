/** The config of a model of ratings, as config.json has it; the device is filled in once there is one. */
import type { RatingSchema } from '../../data/ratings/side-features.ts';
import { type RatingSplit, splitParameters } from '../../data/ratings/split.ts';
import type { Ratings, RatingTask } from '../../data/ratings/ratings.ts';
import { FORMAT_VERSION, type Item, type ModelConfig } from '../../model/storage/config.ts';
import type { RatingSettings } from '../../model/ratings/settings.ts';

export interface RatingConfigOptions {
  /** Version of Attune. */
  attune: string;
  task: RatingTask;
  settings: RatingSettings;
  split: RatingSplit;
  source: string;
  columns: Record<string, string>;
  /** What is read beside ratings. */
  reads: RatingSchema;
  /** The users file, where there is one. */
  usersFile?: string;
  seed: number;
}

export function ratingConfig(about: RatingConfigOptions, ratings: Ratings, items: readonly Item[]): ModelConfig {
  const { attune, task, settings, split, source, columns, reads, usersFile, seed } = about;
  return {
    formatVersion: FORMAT_VERSION,
    attune,
    created: new Date().toISOString(),
    recipe: 'ratings',
    task,
    ...(ratings.positive !== null && { positive: ratings.positive }),
    ratingRange: ratings.range,
    hyperparameters: { ...settings },
    schema: { columns, attributes: [...new Set(items.flatMap((item) => Object.keys(item.attributes)))], ...reads },
    data: {
      source,
      ...(usersFile !== undefined && { usersFile }),
      users: ratings.userIds.length,
      items: ratings.itemIds.length,
      interactions: ratings.size,
      minInteractions: 1,
      minRating: null,
    },
    protocol: split.name,
    protocolParameters: splitParameters(split),
    seen: 'excluded',
    tokenBudget: settings.budget,
    seed,
    device: '',
    variants: {},
  };
}

/** Ratings of each item. */
export function countRatings({ item, itemIds }: Ratings): Uint32Array {
  const counts = new Uint32Array(itemIds.length);
  for (const i of item) counts[i]++;
  return counts;
}
