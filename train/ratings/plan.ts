/** The plan of a training on ratings or clicks: everything is checked and chosen here, and nothing is started. */
import { InputError, option } from '../../data/errors.ts';
import { type ColumnChoice, describeSchema } from '../../data/features/schema.ts';
import { withoutSource } from '../../data/log.ts';
import { asWritten, type Ratings, type RatingTask, ratingsOf } from '../../data/ratings/ratings.ts';
import {
  inferRatingEvents,
  inferRatingItems,
  RatingEncoder,
  type RatingFeatures,
  type RatingSchema,
  ratingSideFeatures,
  readsAnything,
} from '../../data/ratings/side-features.ts';
import {
  FIVE_FOLDS,
  parseRatingSplit,
  type RatingSplit,
  ratingRounds,
  splitParameters,
} from '../../data/ratings/split.ts';
import { loadPredictions, type StoredPredictions } from '../../model/ratings/folder.ts';
import { ratingSettings, type RatingSettings, storedRatingSettings } from '../../model/ratings/settings.ts';
import type { Files } from '../../model/storage/files.ts';
import { FORMAT_VERSION, type Item, loadConfig, loadItems, type ModelConfig } from '../../model/storage/config.ts';
import { VERSION } from '../version.ts';
import { catalogItems, type TrainingSource } from '../plan.ts';
import {
  count,
  inferUsers,
  noteEvents,
  noteUnknownUsers,
  type Notes,
  type UserFeatures,
  warnUnseen,
} from '../side-features.ts';

export interface RatingPlanOptions {
  /** `rating`, the default, predicts the rating; `ctr` whether it is positive. */
  task?: RatingTask;
  /** Of `ctr`: the least rating that counts as positive; by default 1 where all are 0 or 1, else 4. */
  positive?: number;
  /** What is tested: five folds by default, in which every rating is predicted by a model that has not seen it. */
  split?: RatingSplit;
  settings?: Readonly<Record<string, string>>;
  epochs?: number;
  seed?: number;
  /** What columns of items and users are, where that is not inferred. */
  itemColumns?: readonly ColumnChoice[];
  userColumns?: readonly ColumnChoice[];
  /** Event context to read: hour, weekday, columns of the log. */
  events?: readonly string[];
}

/** A training on ratings that is ready to start. */
export interface RatingPlan extends Readonly<Notes> {
  readonly kind: 'ratings';
  readonly task: RatingTask;
  /** As config.json will have it. */
  readonly config: ModelConfig;
  readonly settings: RatingSettings;
  readonly split: RatingSplit;
  readonly ratings: Ratings;
  readonly items: readonly Item[];
  /** Side features; null where the model reads none. */
  readonly features: RatingFeatures | null;
  /** Continues what the folder holds. */
  readonly resume: boolean;
}

/** Checks what can be checked before a log is read, which may take long. @throws InputError */
export function checkRatingOptions({ task = 'rating', positive, settings = {} }: RatingPlanOptions): void {
  if (task === 'rating' && positive !== undefined)
    throw new InputError('conflicting-settings', `requires ${option('task', 'ctr')}`, { setting: 'positive' });
  ratingSettings(1, settings);
}

/**
 * Plans a new training. Every row of the log counts: no filter removes any.
 * @throws InputError, one line, where nothing can be learned from the log or a setting makes no sense
 */
export function planRatings(source: TrainingSource, options: RatingPlanOptions = {}): RatingPlan {
  checkRatingOptions(options);
  const { task = 'rating', split = FIVE_FOLDS, seed = 1, events = [] } = options;
  const { log, name, users = null } = source;
  const ratings = ratingsOf(log, task, options.positive);
  const to: Notes = { notes: describeRatings(ratings, task, name), warnings: [] };
  ratingRounds(ratings, split, seed); // refuses a split that the ratings cannot have
  const settings = ratingSettings(ratings.size, options.settings ?? {});
  if (options.epochs !== undefined) settings.epochs = options.epochs;
  const items = catalogItems(ratings.itemIds, countRatings(ratings), source, to);
  const schema: RatingSchema = {};
  const described = source.items ? inferRatingItems(items, options.itemColumns) : undefined;
  if (described) {
    schema.items = described;
    for (const line of describeSchema(described)) to.notes.push(`${source.itemsName ?? 'items'}: ${line}`);
  }
  const usersName = source.usersName ?? 'users';
  if (users) schema.users = inferUsers(users, ratings.userIds, usersName, options.userColumns ?? [], to);
  if (events.length > 0) schema.events = inferRatingEvents(ratings, events);
  noteEvents(schema.events, name, to);
  const features = featuresOf(schema, ratings, items, users, users ? usersName : name, to);
  const config: ModelConfig = {
    formatVersion: FORMAT_VERSION,
    attune: VERSION,
    created: new Date().toISOString(),
    recipe: 'ratings',
    task,
    ...(ratings.positive !== null && { positive: ratings.positive }),
    ratingRange: ratings.range,
    hyperparameters: { ...settings },
    schema: {
      columns: { ...source.columns },
      attributes: [...new Set(items.flatMap((item) => Object.keys(item.attributes)))],
      ...schema,
    },
    data: {
      source: name,
      ...(source.usersName !== undefined && { usersFile: source.usersName }),
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
  return { ...to, kind: 'ratings', task, config, settings, split, ratings, items, features, resume: false };
}

/**
 * Plans to continue the training in a folder, on the log that it was started with.
 * @throws InputError where the log is another one
 */
export async function resumeRatings(files: Files, source: TrainingSource): Promise<RatingPlan> {
  const config = await loadConfig(files);
  const { task, positive, data } = config;
  if (task === undefined) throw new InputError('unsupported', `${files.where}: is no model of ratings`);
  const settings = storedRatingSettings(config.hyperparameters, `${files.where}/config.json: `);
  const ratings = ratingsOf(source.log, task, positive);
  const to: Notes = { notes: describeRatings(ratings, task, source.name), warnings: [] };
  if (ratings.size !== data.interactions || ratings.itemIds.length !== data.items) {
    throw new InputError(
      'mismatched-data',
      `${source.name}: not the log that ${files.where} was started with (${count(data.interactions)} ratings of ${count(data.items)} items then; ` +
        `${count(ratings.size)} of ${count(ratings.itemIds.length)} now)`,
    );
  }
  const saved = await loadPredictions(files);
  if (saved) requireSameRatings(ratings, saved.predictions, files.where);
  const items = await loadItems(files);
  const users = config.schema.users ? (source.users ?? null) : null;
  const name = (users ? source.usersName : undefined) ?? source.name;
  const features = featuresOf(config.schema, ratings, items, users, name, to);
  const split = storedRatingSplit(config);
  return { ...to, kind: 'ratings', task, config, settings, split, ratings, items, features, resume: true };
}

function featuresOf(
  schema: RatingSchema,
  ratings: Ratings,
  items: readonly Item[],
  users: UserFeatures | null,
  name: string,
  to: Notes,
): RatingFeatures | null {
  if (!readsAnything(schema)) return null;
  const features = ratingSideFeatures(new RatingEncoder(schema), ratings, items, users);
  warnUnseen(features.unseen, name, to);
  if (users) noteUnknownUsers(ratings.userIds, users, name, to);
  return features;
}

/** Lines to print: what a log of ratings holds. */
export function describeRatings(ratings: Ratings, task: RatingTask, name: string): string[] {
  const { levels, size, userIds, itemIds, value, positive } = ratings;
  const scale =
    task === 'ctr'
      ? `${((100 * value.reduce((sum, v) => sum + v, 0)) / size).toFixed(1)} % of them positive (rated at least ${positive})`
      : `${levels.length} levels from ${asWritten(levels[0])} to ${asWritten(levels[levels.length - 1])}`;
  return [
    ...ratings.notes.map((note) => `${name}: ${withoutSource(note, ratings.source)}`),
    `${name}: ${count(size)} ratings of ${count(itemIds.length)} items by ${count(userIds.length)} users, ${scale}; no filter`,
  ];
}

/** The split that a config holds. */
export function storedRatingSplit({ protocol, protocolParameters = {} }: ModelConfig): RatingSplit {
  const [pair] = Object.entries(protocolParameters);
  return parseRatingSplit(pair ? `${protocol}:${pair[0]}=${pair[1]}` : protocol);
}

/** @throws InputError where the log is not the one that the predictions are about */
export function requireSameRatings(ratings: Ratings, { round, rating }: StoredPredictions, where: string): void {
  if (ratings.size === round.length && ratings.value.every((v, row) => v === rating[row])) return;
  throw new InputError(
    'mismatched-data',
    `${ratings.source}: not the log that ${where} was trained on (${count(round.length)} ratings then, ${count(ratings.size)} now, or others)`,
  );
}

/** Ratings of each item. */
function countRatings({ item, itemIds }: Ratings): Uint32Array {
  const counts = new Uint32Array(itemIds.length);
  for (const i of item) counts[i]++;
  return counts;
}
