/** What the commands share about models of ratings. */
import { describeRatingSplit, type RatingSplit, splitParameters } from '../../data/ratings/split.ts';
import { type Ratings, type RatingTask, ratingsOf } from '../../data/ratings/ratings.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import type { ClickMetrics, RatingMetrics } from '../../train/ratings/metrics.ts';
import { describeRatings } from '../../train/ratings/plan.ts';
import type { Point, RatingReport } from '../../train/ratings/report.ts';
import type { Output } from '../common.ts';
import { openLog, type Reading } from './data.ts';
import { formatCount, formatMetric, table } from '../output/ui.ts';

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
  for (const line of describeRatings(ratings, task, file)) out.note(line);
  return ratings;
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

/** The metrics for people. */
export function printReport(report: RatingReport, split: RatingSplit, point: Point, out: Output): void {
  const { points, baselines, metrics, byRound, calibration } = report;
  out.line(`\nTested: ${describeRatingSplit(split)}; ${formatCount(report.ratings)} ratings, none of them trained on`);
  const columns = Object.keys(metrics);
  const row = (name: string, of: RatingMetrics | ClickMetrics) => [
    name,
    ...columns.map((column) => formatMetric(of[column as keyof typeof of])),
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
      const values = byRound.map((of) => of[column as keyof typeof of] as number);
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
