/** A training on ratings from a program: what `attune train --task rating` does, into a model folder of any kind. */
import { InputError } from '../data/errors.ts';
import { FIVE_FOLDS, type RatingSplit } from '../data/rating-split.ts';
import { type RatingTask, ratingsOf } from '../data/ratings.ts';
import { Device, type DeviceOptions } from '../engine/index.ts';
import { type Files, MemoryFiles } from '../model/files.ts';
import { createFolder, type Item } from '../model/folder.ts';
import { ratingSettings } from '../model/rating-settings.ts';
import { countRatings, ratingConfig } from './rating/config.ts';
import { type RatingReport, ratingReport } from './rating/report.ts';
import { type RatingRunProgress, type RatingRunResult, trainRatings } from './rating/run.ts';
import { logOf, type TrainingEvent, type TrainingItem, type TrainModelOptions, VERSION } from './train-model.ts';

export interface TrainRatingModelOptions
  extends Pick<
    TrainModelOptions,
    'settings' | 'maxMinutes' | 'seed' | 'files' | 'overwrite' | 'device' | 'signal' | 'source'
  > {
  items?: Iterable<TrainingItem>;
  /** `rating` by default; `ctr` predicts the chance that a rating is at least `positive`. */
  task?: RatingTask;
  positive?: number;
  /** Five folds by default: `{ name: 'random', test: 0.1 }` and `{ name: 'last' }` train one model instead of six. */
  split?: RatingSplit;
  onProgress?(progress: RatingRunProgress): void;
}

export interface TrainedRatingModel {
  /** The model folder: `RatingPredictor.load(files)` opens it. */
  files: Files;
  result: RatingRunResult;
  /** Of ratings that the models predicting them were not trained on; null where no round has ended. */
  report: RatingReport | null;
}

/** @throws InputError, one line, where nothing can be learned from the events or a setting makes no sense */
export async function trainRatingModel(
  events: Iterable<TrainingEvent>,
  options: TrainRatingModelOptions = {},
): Promise<TrainedRatingModel> {
  const started = performance.now();
  const { task = 'rating', split = FIVE_FOLDS, seed = 1, source = 'events', signal, onProgress } = options;
  if (task === 'rating' && options.positive !== undefined) throw new InputError("positive: goes with task: 'ctr'");
  const given = Object.fromEntries(Object.entries(options.settings ?? {}).map(([key, value]) => [key, String(value)]));
  const ratings = ratingsOf(logOf(events, source), task, options.positive);
  const settings = ratingSettings(ratings.size, given);
  const known = new Map(Array.from(options.items ?? [], (item) => [item.id, item]));
  const counts = countRatings(ratings);
  const items = ratings.itemIds.map((id, row): Item => {
    const { title, attributes = {} } = known.get(id) ?? {};
    return { id, title: title || id, attributes, count: counts[row] };
  });
  const config = ratingConfig({ attune: VERSION, task, settings, split, source, columns: {}, seed }, ratings, items);
  const shared = options.device instanceof Device ? options.device : null;
  const device = shared ?? (await Device.open({ backend: (options.device as DeviceOptions['backend']) ?? 'auto' }));
  const files = options.files ?? new MemoryFiles('model');
  try {
    config.device = device.name;
    await createFolder(files, config, items, { overwrite: options.overwrite });
    const deadline = options.maxMinutes === undefined ? undefined : started + options.maxMinutes * 60_000;
    const result = await trainRatings({ device, files, ratings, split, settings, seed, deadline, signal, onProgress });
    const { predictions } = result;
    return { files, result, report: predictions && ratingReport(predictions, task, 'mean') };
  } finally {
    if (!shared) device.close();
  }
}
