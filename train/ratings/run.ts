/**
 * A training on ratings: its rounds one after the other, each saved when it ends, then the model to serve. With folds that
 * is one more model, of all ratings; otherwise the round's own.
 */
import type { Fold } from '../../data/splits/folds.ts';
import { type RatingSplit, ratingRounds } from '../../data/ratings/split.ts';
import type { RatingFeatures } from '../../data/ratings/side-features.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import type { Device } from '../../engine/index.ts';
import type { Files } from '../../model/storage/files.ts';
import {
  loadPredictions,
  type RatingProgress,
  savePredictions,
  saveRatingModel,
  type StoredPredictions,
} from '../../model/ratings/folder.ts';
import type { RatingSettings } from '../../model/ratings/settings.ts';
import { recordRatings } from '../../model/storage/training-record.ts';
import { type RoundProgress, type RoundResult, trainRound } from './round.ts';

export interface RatingRunOptions {
  device: Device;
  /** A folder that was created (see `createFolder`). */
  files: Files;
  ratings: Ratings;
  split: RatingSplit;
  settings: RatingSettings;
  /** Side features; items alone by default. */
  features?: RatingFeatures | null;
  seed: number;
  /** Continues after the last round that had ended. */
  resume?: boolean;
  /** `performance.now()` at which everything must be saved: what is left is divided among the rounds that are. */
  deadline?: number;
  signal?: AbortSignal;
  onProgress?(progress: RatingRunProgress): void;
  log?(line: string): void;
}

export interface RatingRunProgress extends RoundProgress {
  /** From 1; the last of `of` may be the model of all ratings. */
  round: number;
  of: number;
  /** 0 to 1, of the whole. */
  total: number;
}

export interface RatingRunResult {
  /** `time` where a round had too little time for all of its epochs. */
  reason: 'epochs' | 'time' | 'interrupted' | 'finished before';
  progress: RatingProgress;
  /** null where no round has ended. */
  predictions: StoredPredictions | null;
  /** Of this run. */
  seconds: number;
}

export async function trainRatings(o: RatingRunOptions): Promise<RatingRunResult> {
  const started = performance.now();
  const { ratings, split, files } = o;
  const rounds = ratingRounds(ratings, split, o.seed);
  await recordRatings(files, ratings, rounds, o.seed, o.resume);
  // The model of all ratings, unless the only round trains the model that is served.
  if (rounds.length > 1)
    rounds.push({ train: Uint32Array.from({ length: ratings.size }, (_, i) => i), test: new Uint32Array(0) });
  const saved = o.resume ? await loadPredictions(files) : null;
  const predictions = saved?.predictions ?? nothingYet(ratings);
  const progress: RatingProgress = saved?.progress ?? {
    rounds: 0,
    of: rounds.length,
    steps: 0,
    epochs: [],
    elapsedSeconds: 0,
  };
  const before = progress.elapsedSeconds;
  const end = (reason: RatingRunResult['reason']): RatingRunResult => ({
    reason,
    progress,
    predictions: progress.rounds > 0 ? predictions : null,
    seconds: (performance.now() - started) / 1000,
  });
  if (progress.rounds >= rounds.length) return end('finished before');
  let cut = false;
  for (let r = progress.rounds; r < rounds.length; r++) {
    const now = performance.now();
    const result = await trainRound({
      device: o.device,
      ratings,
      rows: rounds[r],
      settings: o.settings,
      features: o.features,
      seed: o.seed,
      tail: split.name === 'last',
      signal: o.signal,
      // A second is kept for saving.
      deadline: o.deadline === undefined ? undefined : now + Math.max(0, o.deadline - 1000 - now) / (rounds.length - r),
      onProgress: (p) =>
        o.onProgress?.({ ...p, round: r + 1, of: rounds.length, total: (r + p.fraction) / rounds.length }),
    });
    if (!result) return end('interrupted');
    try {
      cut ||= result.reason === 'time';
      note(predictions, ratings, rounds[r], r + 1, result);
      progress.rounds = r + 1;
      progress.steps += result.steps;
      progress.epochs.push(result.epochs);
      progress.elapsedSeconds = before + (performance.now() - started) / 1000;
      // The model first: a kill in between repeats the round, and leaves a model that has its predictions.
      if (r + 1 === rounds.length) await saveServed(o, result, progress);
      await savePredictions(files, predictions, progress);
    } finally {
      result.model.dispose();
    }
    o.log?.(sayRound(result, rounds[r], ratings, r, rounds.length));
  }
  return end(cut ? 'time' : 'epochs');
}

function nothingYet(ratings: Ratings): StoredPredictions {
  const empty = () => new Float32Array(ratings.size);
  return {
    round: new Uint32Array(ratings.size),
    rating: ratings.value.slice(),
    mean: empty(),
    median: empty(),
    factors: empty(),
    biases: empty(),
  };
}

function note(
  to: StoredPredictions,
  ratings: Ratings,
  { test }: Fold,
  round: number,
  { predictions }: RoundResult,
): void {
  test.forEach((row, i) => {
    to.round[row] = round;
    to.rating[row] = ratings.value[row];
    for (const name of ['mean', 'median', 'factors', 'biases'] as const) to[name][row] = predictions[name][i];
  });
}

async function saveServed(
  { files, ratings }: RatingRunOptions,
  result: RoundResult,
  progress: RatingProgress,
): Promise<void> {
  const { model, baseline, events } = result;
  const values = await model.parameters.read('params');
  const parameters = new Map(
    [...values].map(([name, data]) => [name, { shape: [...model.parameters.shapeOf(name)], data }]),
  );
  const { factors, spread, coldSpread } = baseline;
  await saveRatingModel(
    files,
    { parameters, factors, levels: ratings.levels, itemCounts: events.itemCounts, spread, coldSpread },
    progress,
  );
}

function sayRound(result: RoundResult, { test }: Fold, ratings: Ratings, r: number, of: number): string {
  const cut = result.reason === 'time' ? `, cut by the time limit after ${result.epochs.toFixed(1)} epochs` : '';
  if (test.length === 0) return `round ${r + 1} of ${of}: the model of all ratings, to serve${cut}`;
  let squares = 0;
  test.forEach((row, i) => {
    squares += (result.predictions.mean[i] - ratings.value[row]) ** 2;
  });
  return `round ${r + 1} of ${of}: RMSE ${Math.sqrt(squares / test.length).toFixed(4)} on ${test.length.toLocaleString('en-US')} ratings${cut}`;
}
