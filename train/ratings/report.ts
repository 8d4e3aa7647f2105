/** What out-of-fold predictions come to: the figures of a rating model, and of what it starts from. */
import type { RatingTask } from '../../data/ratings/ratings.ts';
import type { StoredPredictions } from '../../model/ratings/folder.ts';
import { requireFinite } from '../../model/inference/ranks.ts';
import { type CalibrationBin, type ClickMetrics, clickMetrics, type RatingMetrics, ratingMetrics } from './metrics.ts';

/** Which number stands for the predicted distribution: its mean is best for RMSE, its median for MAE. */
export type Point = 'mean' | 'median';

export interface RatingReport {
  /** Ratings that were tested, and rounds that tested some. */
  ratings: number;
  rounds: number;
  /** Of the chosen point; and of both. */
  metrics: RatingMetrics | ClickMetrics;
  points: Record<Point, RatingMetrics> | null;
  /** TargetMetrics by round, in order. */
  byRound: (RatingMetrics | ClickMetrics)[];
  /** Factors alone, and biases alone. */
  baselines: Record<'factors' | 'biases', RatingMetrics | ClickMetrics>;
  /** Of probabilities alone: the reliability diagram. */
  calibration: CalibrationBin[] | null;
}

/** @throws InputError where a prediction is NaN or infinite */
export function ratingReport(p: StoredPredictions, task: RatingTask, point: Point): RatingReport {
  const tested: number[] = [];
  let rounds = 0;
  p.round.forEach((round, row) => {
    if (round > 0) tested.push(row);
    rounds = Math.max(rounds, round);
  });
  const pick = (column: Float32Array, rows: readonly number[]) =>
    requireFinite(
      Float32Array.from(rows, (row) => column[row]),
      'predicted ratings',
    );
  const figures = (column: Float32Array, rows: readonly number[] = tested): RatingMetrics | ClickMetrics =>
    task === 'ctr'
      ? clickMetrics(pick(p.rating, rows), pick(column, rows)).figures
      : ratingMetrics(pick(p.rating, rows), pick(column, rows));
  const byRound = Array.from({ length: rounds }, (_, r) =>
    figures(
      p[task === 'ctr' ? 'mean' : point],
      tested.filter((row) => p.round[row] === r + 1),
    ),
  );
  return {
    ratings: tested.length,
    rounds,
    metrics: figures(p[task === 'ctr' ? 'mean' : point]),
    points:
      task === 'ctr' ? null : { mean: figures(p.mean) as RatingMetrics, median: figures(p.median) as RatingMetrics },
    byRound,
    baselines: { factors: figures(p.factors), biases: figures(p.biases) },
    calibration: task === 'ctr' ? clickMetrics(pick(p.rating, tested), pick(p.mean, tested)).calibration : null,
  };
}
