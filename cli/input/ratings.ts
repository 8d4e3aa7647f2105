/** What the commands share about models of ratings. */
import { InputError } from '../../data/errors.ts';
import { describeRatingSplit, parseRatingSplit, type RatingSplit, splitParameters } from '../../data/ratings/split.ts';
import { withoutSource } from '../../data/log.ts';
import { asWritten, type Ratings, type RatingTask, ratingsOf } from '../../data/ratings/ratings.ts';
import { loadConfig, type ModelConfig } from '../../model/storage/config.ts';
import type { StoredPredictions } from '../../model/ratings/folder.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import type { ClickMetrics, RatingMetrics } from '../../train/ratings/metrics.ts';
import type { Point, RatingReport } from '../../train/ratings/report.ts';
import type { Output } from '../common.ts';
import { openLog, type Reading } from './data.ts';
import { formatCount, formatMetric, printable, table } from '../output/ui.ts';

/** Whether the folder holds a model of ratings; false where it holds none at all, which is for others to say. */
export async function holdsRatings(dir: string): Promise<boolean> {
  try {
    return (await loadConfig(await openPath(dir))).task !== undefined;
  } catch {
    return false;
  }
}

export interface RatingSource {
  task: RatingTask;
  positive?: number;
}

/** Reads a log's ratings, and says what was found. @throws InputError */
export async function openRatings(
  file: string,
  reading: Reading,
  { task, positive }: RatingSource,
  out: Output,
  progress = false,
): Promise<Ratings> {
  const ratings = ratingsOf(await openLog(file, reading, progress), task, positive);
  const { levels, size, userIds, itemIds } = ratings;
  for (const note of ratings.notes) out.note(`${printable(file)}: ${printable(withoutSource(note, ratings.source))}`);
  const scale =
    task === 'ctr'
      ? `${((100 * ratings.value.reduce((sum, v) => sum + v, 0)) / size).toFixed(1)} % of them positive (rated at least ${ratings.positive})`
      : `${levels.length} levels from ${asWritten(levels[0])} to ${asWritten(levels[levels.length - 1])}`;
  out.note(
    `${printable(file)}: ${formatCount(size)} ratings of ${formatCount(itemIds.length)} items by ${formatCount(userIds.length)} users, ${scale}; no filter`,
  );
  return ratings;
}

/** The split that a config holds. */
export function splitOf(config: ModelConfig): RatingSplit {
  const [pair] = Object.entries(config.protocolParameters ?? {});
  return parseRatingSplit(pair ? `${config.protocol}:${pair[0]}=${pair[1]}` : config.protocol);
}

/** Which point stands for a prediction where none is asked for: the median where only absolute errors are compared. */
export const usualPoint = (split: RatingSplit, task: RatingTask): Point =>
  split.name === 'last' && task === 'rating' ? 'median' : 'mean';

/** @throws InputError where the log is not the one that the predictions are about */
export function requireSameRatings(ratings: Ratings, predictions: StoredPredictions, where: string): void {
  const { round, rating } = predictions;
  if (ratings.size === round.length && ratings.value.every((v, row) => v === rating[row])) return;
  throw new InputError(
    'mismatched-data',
    `${ratings.source}: not the log that ${where} was trained on (${formatCount(round.length)} ratings then, ${formatCount(ratings.size)} now, or others)`,
  );
}

/** The object of `--json`, without what is the command's own. */
export function reportObject(
  report: RatingReport,
  task: RatingTask,
  split: RatingSplit,
  point: Point,
): Record<string, unknown> {
  const { metrics, points, byRound, baselines, calibration, ratings, rounds } = report;
  return {
    task,
    protocol: split.name,
    protocolParameters: splitParameters(split),
    predict: task === 'ctr' ? 'probability' : point,
    ratings,
    rounds,
    ...metrics,
    metrics,
    points,
    byRound,
    baselines,
    calibration,
  };
}

/** The figures for people. */
export function printReport(report: RatingReport, split: RatingSplit, point: Point, out: Output): void {
  const { points, baselines, metrics, byRound, calibration } = report;
  out.line(`\nTested: ${describeRatingSplit(split)}; ${formatCount(report.ratings)} ratings, none of them trained on`);
  const columns = Object.keys(metrics);
  const row = (name: string, figures: RatingMetrics | ClickMetrics) => [
    name,
    ...columns.map((column) => formatMetric(figures[column as keyof typeof figures])),
  ];
  const rows = points
    ? (['mean', 'median'] as const)
        .toSorted((a) => (a === point ? -1 : 1))
        .map((name) => row(`transformer, ${name} of what it predicts`, points[name]))
    : [row('transformer', metrics)];
  rows.push(row('factors alone', baselines.factors), row('biases alone', baselines.biases));
  out.line(table(['', ...columns], rows));
  if (byRound.length > 1) {
    const spread = columns.slice(0, 2).map((column) => {
      const values = byRound.map((figures) => figures[column as keyof typeof figures] as number);
      const least = values.reduce((a, b) => Math.min(a, b));
      const most = values.reduce((a, b) => Math.max(a, b));
      return `${column} ${formatMetric(least)} to ${formatMetric(most)}`;
    });
    out.line(`\nOver the ${byRound.length} rounds: ${spread.join(', ')}.`);
  }
  if (calibration) {
    out.line('\nCalibration: what was predicted and what happened, by tenths of the probability');
    out.line(
      table(
        ['predicted', 'mean', 'happened', 'ratings'],
        calibration.map((b) => [
          `${b.from.toFixed(1)}-${b.to.toFixed(1)}`,
          b.count > 0 ? b.predicted.toFixed(3) : '–',
          b.count > 0 ? b.observed.toFixed(3) : '–',
          formatCount(b.count),
        ]),
      ),
    );
  }
}
