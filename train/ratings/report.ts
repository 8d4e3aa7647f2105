/** Metrics of out-of-fold predictions: those of a rating model, and of the factors and biases that it starts from. */
import type { RatingTask } from '../../data/ratings/ratings.ts';
import type { RatingSplit } from '../../data/ratings/split.ts';
import type { StoredPredictions } from '../../model/ratings/folder.ts';
import { requireFinite } from '../../model/inference/ranks.ts';
import { type CalibrationBin, type ClickMetrics, clickMetrics, type RatingMetrics, ratingMetrics } from './metrics.ts';

/** Which number represents the predicted distribution: its mean is best for RMSE, its median for MAE. */
export type Point = 'mean' | 'median';

/** The point that a report is about where none is asked for: the median where only absolute errors are compared. */
export const usualPoint = (split: RatingSplit, task: RatingTask): Point =>
  split.name === 'last' && task === 'rating' ? 'median' : 'mean';

export interface RatingReport {
  /** Ratings that were tested, and rounds that tested some. */
  ratings: number;
  rounds: number;
  /** Of the chosen point; and of both. */
  metrics: RatingMetrics | ClickMetrics;
  points: Record<Point, RatingMetrics> | null;
  /** Metrics by round, in order. */
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
  const metricsOf = (column: Float32Array, rows: readonly number[] = tested): RatingMetrics | ClickMetrics =>
    task === 'ctr'
      ? clickMetrics(pick(p.rating, rows), pick(column, rows)).metrics
      : ratingMetrics(pick(p.rating, rows), pick(column, rows));
  const byRound = Array.from({ length: rounds }, (_, r) =>
    metricsOf(
      p[task === 'ctr' ? 'mean' : point],
      tested.filter((row) => p.round[row] === r + 1),
    ),
  );
  return {
    ratings: tested.length,
    rounds,
    metrics: metricsOf(p[task === 'ctr' ? 'mean' : point]),
    points:
      task === 'ctr'
        ? null
        : { mean: metricsOf(p.mean) as RatingMetrics, median: metricsOf(p.median) as RatingMetrics },
    byRound,
    baselines: { factors: metricsOf(p.factors), biases: metricsOf(p.biases) },
    calibration: task === 'ctr' ? clickMetrics(pick(p.rating, tested), pick(p.mean, tested)).calibration : null,
  };
}
