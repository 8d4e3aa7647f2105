/**
 * What a model folder holds of a rating model beside config.json and items.json: model.safetensors (the network and the
 * factors it starts from, for serving) and
 *
 *   predictions.safetensors   replaced after each round   out-of-fold predictions of the log's ratings, by row: `round`
 *                             (0: not tested), `rating`, and what was predicted: `mean`, `median`, `factors`, `biases`
 */
import { InputError } from '../data/errors.ts';
import type { RatingTask } from '../data/ratings.ts';
import { type Factors, restoreFactors, storeFactors } from './factors.ts';
import type { Files } from './files.ts';
import { loadConfig, loadModel, type LoadedModel, type ModelConfig, PREDICTIONS, saveModel } from './folder.ts';
import { type RatingSettings, storedRatingSettings } from './rating-settings.ts';
import { decodeModel, encodePieces, type StoredTensor } from './safetensors.ts';

/** A rating model at rest. */
export interface StoredRatingModel {
  parameters: ReadonlyMap<string, StoredTensor>;
  factors: Factors;
  /** In the ratings' units. */
  levels: Float32Array;
  itemCounts: Uint32Array;
  /** Variance of a rating around its baseline, in standard units. */
  spread: number;
  /** The same of items that nobody has rated. */
  coldSpread: number;
}

export interface LoadedRatingModel extends StoredRatingModel {
  loaded: LoadedModel;
  settings: RatingSettings;
}

/** All predictions so far, by row of the log's ratings. */
export interface StoredPredictions {
  round: Uint32Array;
  rating: Float32Array;
  mean: Float32Array;
  median: Float32Array;
  factors: Float32Array;
  biases: Float32Array;
}

/** How far a training has come; stands in predictions.safetensors. */
export interface RatingProgress {
  /** Rounds done and planned. */
  rounds: number;
  of: number;
  steps: number;
  /** Of each round done: its epochs, whole or as far as the time went. */
  epochs: number[];
  elapsedSeconds: number;
}

/** The config of a rating model. @throws InputError where the folder's model ranks items */
export function ratingTaskOf(config: ModelConfig): RatingTask | null {
  return config.task ?? null;
}

export async function saveRatingModel(files: Files, model: StoredRatingModel, progress: RatingProgress): Promise<void> {
  const { parameters, factors, levels, itemCounts, spread, coldSpread } = model;
  const tensors = new Map([
    ...parameters,
    ...storeFactors(factors),
    ['ratings.levels', { shape: [levels.length], data: levels }],
    ['ratings.itemCounts', { shape: [itemCounts.length], data: itemCounts }],
    ['ratings.spread', { shape: [2], data: Float32Array.of(spread, coldSpread) }],
  ] as [string, StoredTensor][]);
  await saveModel(files, tensors, {
    step: progress.steps,
    epoch: Math.floor(progress.epochs.at(-1) ?? 0),
    metrics: {},
  });
}

/** @throws InputError where the folder is no rating model, or its training has not come to the model */
export async function loadRatingModel(files: Files): Promise<LoadedRatingModel> {
  const config = await loadConfig(files);
  if (!ratingTaskOf(config)) throw new InputError(`${files.where}: a model that ranks items; it predicts no ratings`);
  if (!(await files.list()).includes('model.safetensors'))
    throw new InputError(`${files.where}: its training has not ended yet; go on with attune train --resume`);
  const loaded = await loadModel(files);
  const { tensors } = loaded;
  const factors = restoreFactors(tensors);
  const [levels, itemCounts, spread] = ['levels', 'itemCounts', 'spread'].map(
    (name) => tensors.get(`ratings.${name}`)?.data,
  );
  if (!factors || !(levels instanceof Float32Array) || !(itemCounts instanceof Uint32Array) || !spread) {
    throw new InputError(
      `${files.where}/model.safetensors: damaged (the factors or the levels of the ratings are missing)`,
    );
  }
  const parameters = new Map([...tensors].filter(([name]) => !/^(factors|ratings)\./.test(name)));
  const settings = storedRatingSettings(config.hyperparameters, `${files.where}/config.json: `);
  // Folders of earlier versions have one number here.
  const [warm, cold = warm] = spread as Float32Array;
  return { loaded, settings, parameters, factors, levels, itemCounts, spread: warm, coldSpread: cold };
}

const COLUMNS = ['rating', 'mean', 'median', 'factors', 'biases'] as const;

export async function savePredictions(files: Files, p: StoredPredictions, progress: RatingProgress): Promise<void> {
  const shape = [p.round.length];
  const tensors = new Map<string, StoredTensor>([['round', { shape, data: p.round }]]);
  for (const name of COLUMNS) tensors.set(name, { shape, data: p[name] });
  const metadata = new Map([
    ['format', 'attune'],
    ['progress', JSON.stringify(progress)],
  ]);
  await files.write(PREDICTIONS, encodePieces(tensors, metadata));
}

/** null where no round has ended. @throws InputError where the file is damaged */
export async function loadPredictions(
  files: Files,
): Promise<{ predictions: StoredPredictions; progress: RatingProgress } | null> {
  const bytes = await files.read(PREDICTIONS);
  if (!bytes) return null;
  const file = `${files.where}/${PREDICTIONS}`;
  const { tensors, metadata } = decodeModel(bytes, file);
  const round = tensors.get('round')?.data;
  const columns = COLUMNS.map((name) => tensors.get(name)?.data);
  let progress: RatingProgress | null = null;
  try {
    progress = JSON.parse(metadata.get('progress') ?? 'null') as RatingProgress | null;
  } catch {
    // told below
  }
  if (
    !progress ||
    !(round instanceof Uint32Array) ||
    !columns.every((c) => c instanceof Float32Array && c.length === round.length)
  ) {
    throw new InputError(`${file}: damaged, or not written by Attune`);
  }
  const [rating, mean, median, factors, biases] = columns as Float32Array[];
  return { predictions: { round, rating, mean, median, factors, biases }, progress };
}
