/** A training on ratings from a program, with events in memory: what the command does with the tasks `rating` and `ctr`. */
import { InputError, option } from '../../data/errors.ts';
import {
  ratingSideFeatures,
  inferRatingEvents,
  inferRatingItems,
  RatingEncoder,
  type RatingSchema,
  readsAnything,
} from '../../data/ratings/side-features.ts';
import { type Ratings, type RatingTask, ratingsOf } from '../../data/ratings/ratings.ts';
import { FIVE_FOLDS, type RatingSplit, ratingRounds } from '../../data/ratings/split.ts';
import { inferSchema } from '../../data/features/schema.ts';
import { contextNames } from '../../data/features/event-encoder.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import type { Item } from '../../model/storage/config.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { ratingSettings } from '../../model/ratings/settings.ts';
import { checkTraining, logOf, openShared, type TrainingEvent, type TrainingOptions, VERSION } from '../events.ts';
import { countRatings, ratingConfig } from './config.ts';
import { type RatingReport, ratingReport } from './report.ts';
import { type RatingRunProgress, type RatingRunResult, trainRatings } from './run.ts';

export interface TrainRatingModelOptions extends TrainingOptions<RatingRunProgress> {
  /** `rating`, the default, predicts the rating; `ctr` whether it is positive. */
  task?: RatingTask;
  /** Of `ctr`: the least rating that counts as positive; by default 1 where all are 0 or 1, else 4. */
  positive?: number;
  /** What is tested: five folds by default, in which every rating is predicted by a model that has not seen it. */
  split?: RatingSplit;
}

export interface TrainedRatingModel {
  /** The model folder: `RatingPredictor.load(files)` opens it. */
  files: Files;
  result: RatingRunResult;
  /** TargetMetrics of the out-of-fold predictions; null where the signal ended the training before the first round. */
  report: RatingReport | null;
  notes: string[];
}

/**
 * Trains a model of ratings, or of clicks, on events that have a rating. Every row counts: no filter removes any.
 *
 * @throws InputError, one line, where nothing can be learned from the events or a setting makes no sense
 */
export async function trainRatingModel(
  events: Iterable<TrainingEvent>,
  options: TrainRatingModelOptions = {},
): Promise<TrainedRatingModel> {
  const started = performance.now();
  const { task = 'rating', split = FIVE_FOLDS, seed = 1, epochs, signal, onProgress, source = 'events' } = options;
  checkTraining(options);
  const given = Object.fromEntries(Object.entries(options.settings ?? {}).map(([key, value]) => [key, String(value)]));
  if (task === 'rating' && options.positive !== undefined)
    throw new InputError('conflicting-settings', `requires ${option('task', 'ctr')}`, { setting: 'positive' });
  const reads = [...new Set(options.reads ?? [])];
  const columns = contextNames(reads);
  const ratings = ratingsOf(logOf(events, source, columns), task, options.positive);
  ratingRounds(ratings, split, seed); // refuses a split that the ratings cannot have
  const settings = ratingSettings(ratings.size, given);
  if (epochs !== undefined) settings.epochs = epochs;
  const known = new Map(Array.from(options.items ?? [], (item) => [item.id, item]));
  const counts = countRatings(ratings);
  const items = ratings.itemIds.map((id, row): Item => {
    const { title, attributes = {} } = known.get(id) ?? {};
    return { id, title: title || id, attributes, count: counts[row] };
  });
  const users = options.users && new Map(Array.from(options.users, ({ id, attributes }) => [id, attributes]));
  const schema = schemaOf(ratings, items, users, reads);
  const beside = readsAnything(schema)
    ? ratingSideFeatures(new RatingEncoder(schema), ratings, items, users ?? null)
    : null;
  const { device, close } = await openShared(options.device);
  const about = { attune: VERSION, task, settings, split, source, columns: {}, reads: schema, seed };
  const config = { ...ratingConfig(about, ratings, items), device: device.name };
  const files = options.files ?? new MemoryFiles('model');
  try {
    await createFolder(files, config, items, { overwrite: options.overwrite });
    const deadline = options.maxMinutes === undefined ? undefined : started + options.maxMinutes * 60_000;
    const run = { device, files, ratings, split, settings, beside, seed, deadline, signal, onProgress };
    const result = await trainRatings(run);
    const report = result.predictions && ratingReport(result.predictions, task, 'mean');
    return { files, result, report, notes: ratings.notes };
  } finally {
    close();
  }
}

/** What is to be read beside the ratings. @throws InputError where it is not there */
function schemaOf(
  ratings: Ratings,
  items: readonly Item[],
  users: ReadonlyMap<string, Readonly<Record<string, string>>> | undefined,
  reads: readonly string[],
): RatingSchema {
  const schema: RatingSchema = {};
  const described = inferRatingItems(items);
  if (described) schema.items = described;
  if (users) {
    const rows = ratings.userIds.flatMap((id) => {
      const attributes = users.get(id);
      return attributes ? [{ id, title: '', attributes }] : [];
    });
    if (rows.length === 0)
      throw new InputError('mismatched-data', `${ratings.source}: none of the users is in the log`);
    schema.users = inferSchema(rows);
  }
  if (reads.length > 0) schema.events = inferRatingEvents(ratings, reads);
  return schema;
}
