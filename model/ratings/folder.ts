/**
 * What a model folder holds of a rating model in addition to config.json and items.json: model.safetensors (the network and the
 * factors it starts from, for serving) and
 *
 *   predictions.safetensors   replaced after each round   out-of-fold predictions of the log's ratings, by row: `round`
 *                             (0: not tested), `rating`, and what was predicted: `mean`, `median`, `factors`, `biases`
 */
import { damaged, InputError, option } from '../../data/errors.ts';
import { FACTORS, type Factors, restoreFactors, storeFactors } from './factors.ts';
import type { Files } from '../storage/files.ts';
import { saveModel } from '../storage/checkpoint.ts';
import { loadConfig } from '../storage/config.ts';
import { PREDICTIONS } from '../storage/folder.ts';
import { loadModel, type LoadedModel } from '../storage/load-model.ts';
import { type RatingSettings, storedRatingSettings } from './settings.ts';
import { encodePieces, type StoredTensor } from '../storage/safetensors.ts';
import { commit, type Source, withSnapshot } from '../storage/manifest.ts';
import { checkNames, metadataOf, readMetadata, readTensors, tensorOf, vector } from '../storage/tensors.ts';

/** A rating model at rest. */
export interface StoredRatingModel {
  parameters: ReadonlyMap<string, StoredTensor>;
  factors: Factors;
  /** In the ratings' units. */
  levels: Float32Array;
  itemCounts: Uint32Array;
  /** Variance of a rating around its baseline, in standard units. */
  spread: number;
  /** The same of unrated items. */
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

/** How far a training has come; it is in predictions.safetensors. */
export interface RatingProgress {
  /** Rounds done and planned. */
  rounds: number;
  of: number;
  steps: number;
  /** Of each round done: its epochs, whole or as far as the time went. */
  epochs: number[];
  elapsedSeconds: number;
}

export async function saveRatingModel(files: Files, model: StoredRatingModel, progress: RatingProgress): Promise<void> {
  const { parameters, factors, levels, itemCounts, spread, coldSpread } = model;
  const tensors = new Map([
    ...parameters,
    ...storeFactors(factors),
    ['ratings.levels', vector(levels)],
    ['ratings.itemCounts', vector(itemCounts)],
    ['ratings.spread', vector(Float32Array.of(spread, coldSpread))],
  ] as [string, StoredTensor][]);
  await saveModel(files, tensors, {
    step: progress.steps,
    epoch: Math.floor(progress.epochs.at(-1) ?? 0),
    metrics: {},
  });
}

/** @throws InputError where the folder is no rating model, or its training has not come to the model */
export function loadRatingModel(source: Source): Promise<LoadedRatingModel> {
  return withSnapshot(source, async (snapshot) => {
    const config = await loadConfig(snapshot);
    const { where } = snapshot;
    if (!config.task) throw new InputError('unsupported', `${where}: a model that ranks items; it predicts no ratings`);
    if (!(await snapshot.read('model.safetensors')))
      throw new InputError('unfinished-model', `${where}: its training has not ended yet`, {
        hint: `continue it with ${option('resume')}`,
      });
    return restore(await loadModel(snapshot), snapshot.pathOf('config.json'));
  });
}

function restore(loaded: LoadedModel, configPath: string): LoadedRatingModel {
  const { config, tensors, path } = loaded;
  const factors = restoreFactors(tensors, path);
  const known = factors.items.length / factors.n;
  const levels = tensorOf(loaded, 'ratings.levels', 'F32', [null]);
  const itemCounts = tensorOf(loaded, 'ratings.itemCounts', 'U32', [known]);
  // Folders of earlier versions have one number here.
  const [warm, cold = warm] = tensorOf(loaded, 'ratings.spread', 'F32', [null]);
  const fail = damaged(`${path}: damaged`);
  if (levels.length < 2 || levels.some((level, i) => i > 0 && !(level > levels[i - 1])))
    fail('tensor ratings.levels: expected two or more rising numbers');
  if (!(warm > 0 && cold > 0)) fail(`tensor ratings.spread: expected variances > 0, got ${warm}, ${cold}`);
  const parameters = new Map([...tensors].filter(([name]) => !/^(factors|ratings)\./.test(name)));
  checkNames(tensors, [...parameters.keys(), ...FACTORS, ...RATINGS], path);
  const settings = storedRatingSettings(config.hyperparameters, `${configPath}: `);
  return { loaded, settings, parameters, factors, levels, itemCounts, spread: warm, coldSpread: cold };
}

const RATINGS = ['levels', 'itemCounts', 'spread'].map((name) => `ratings.${name}`);
const COLUMNS = ['rating', 'mean', 'median', 'factors', 'biases'] as const;

export async function savePredictions(files: Files, p: StoredPredictions, progress: RatingProgress): Promise<void> {
  const shape = [p.round.length];
  const tensors = new Map<string, StoredTensor>([['round', { shape, data: p.round }]]);
  for (const name of COLUMNS) tensors.set(name, { shape, data: p[name] });
  await commit(files, { [PREDICTIONS]: encodePieces(tensors, metadataOf('progress', JSON.stringify(progress))) });
}

/** null where no round has ended. @throws InputError where the file is damaged */
export async function loadPredictions(
  source: Source,
): Promise<{ predictions: StoredPredictions; progress: RatingProgress } | null> {
  const stored = await readTensors(source, PREDICTIONS);
  if (!stored) return null;
  const { tensors, metadata, path } = stored;
  checkNames(tensors, ['round', ...COLUMNS], path);
  const round = tensorOf(stored, 'round', 'U32', [null]);
  const [rating, mean, median, factors, biases] = COLUMNS.map((name) => tensorOf(stored, name, 'F32', [round.length]));
  const progress = readMetadata<RatingProgress>(metadata, 'progress');
  if (!progress) return damaged(path)('damaged, or not written by Attune');
  return { predictions: { round, rating, mean, median, factors, biases }, progress };
}
