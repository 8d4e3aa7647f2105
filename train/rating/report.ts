/** What out-of-fold predictions come to: the figures of a rating model, and of what it starts from. */
import type { RatingTask } from '../../data/ratings.ts';
import type { StoredPredictions } from '../../model/rating-folder.ts';
import { requireFinite } from '../../model/ranks.ts';
import { type CalibrationBin, type ClickFigures, clickFigures, type RatingFigures, ratingFigures } from './metrics.ts';

/** Which number stands for the predicted distribution: its mean is best for RMSE, its median for MAE. */
export type Point = 'mean' | 'median';

export interface RatingReport {
  /** Ratings that were tested, and rounds that tested some. */
  ratings: number;
  rounds: number;
  /** Of the chosen point; and of both. */
  metrics: RatingFigures | ClickFigures;
  points: Record<Point, RatingFigures> | null;
  /** Figures by round, in order. */
  byRound: (RatingFigures | ClickFigures)[];
  /** Factors alone, and biases alone. */
  baselines: Record<'factors' | 'biases', RatingFigures | ClickFigures>;
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
  const figures = (column: Float32Array, rows: readonly number[] = tested): RatingFigures | ClickFigures =>
    task === 'ctr'
      ? clickFigures(pick(p.rating, rows), pick(column, rows)).figures
      : ratingFigures(pick(p.rating, rows), pick(column, rows));
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
      task === 'ctr' ? null : { mean: figures(p.mean) as RatingFigures, median: figures(p.median) as RatingFigures },
    byRound,
    baselines: { factors: figures(p.factors), biases: figures(p.biases) },
    calibration: task === 'ctr' ? clickFigures(pick(p.rating, tested), pick(p.mean, tested)).calibration : null,
  };
}
