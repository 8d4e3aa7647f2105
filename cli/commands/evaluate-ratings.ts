/** `attune evaluate` for a model of ratings: the metrics of its out-of-fold predictions, and those predictions. */
import type { EvaluateRatingFlags } from './evaluate.flags.ts';
import { closeSync, openSync, writeSync } from 'node:fs';
import { InputError } from '../../data/errors.ts';
import { asWritten, type Ratings, type RatingTask } from '../../data/ratings/ratings.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { loadPredictions, type StoredPredictions } from '../../model/ratings/folder.ts';
import { loadTraining, TRAINING } from '../../model/storage/training-record.ts';
import { explain } from '../../recommend/sources/files.node.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { type Point, ratingReport, usualPoint } from '../../train/ratings/report.ts';
import { commandName, Output, requireOtherFile, shellWord } from '../common.ts';
import { columnsOf } from '../input/data.ts';
import { pathsExist } from '../input/paths.ts';
import { UsageError } from '../errors.ts';
import { requireSameRatings, storedRatingSplit } from '../../train/ratings/plan.ts';
import { openRatings, printReport, reportObject } from '../input/ratings.ts';
import { formatCount } from '../output/ui.ts';

/** Flags of ranking alone. */
const RANKING = ['split', 'protocol', 'includeSeen', 'baselines', 'users', 'groups'] as const;

export async function runEvaluateRatings(flags: EvaluateRatingFlags, given: ReadonlySet<string>): Promise<void> {
  const out = new Output(flags.json);
  const ranking = RANKING.filter((name) => given.has(name));
  if (ranking.length > 0) {
    const names = ranking.map((name) =>
      name === 'baselines' ? '--no-baselines' : `--${name.replace('Seen', '-seen')}`,
    );
    throw new UsageError(
      `${names.join(', ')}: for ranking; ${flags.model} predicts ratings, and its own split is what is reported`,
    );
  }
  const files = await openPath(flags.model);
  const config = await loadConfig(files);
  const task = config.task as RatingTask;
  if (task === 'ctr' && flags.predict)
    throw new UsageError('--predict is for ratings; --task ctr predicts probabilities');
  const split = storedRatingSplit(config);
  const saved = await loadPredictions(files);
  const resume = `${commandName()} train --out ${shellWord(flags.model)} --resume`;
  if (!saved)
    throw new InputError('unfinished-model', `${flags.model}: no round of its training has ended yet`, {
      hint: `continue it with: ${resume}`,
    });
  const { predictions, progress } = saved;
  if (progress.rounds < progress.of)
    out.warn(
      `${flags.model}: ${progress.rounds} of ${progress.of} rounds have ended, these are theirs; continue it with: ${resume}`,
    );
  const source = flags.data ?? config.data.source;
  if (flags.dump !== undefined) requireOtherFile('--dump', flags.dump, [source, flags.model]);
  let ratings: Ratings | null = null;
  if (flags.data !== undefined || flags.dump !== undefined) {
    if (!pathsExist(source))
      throw new InputError('not-found', `${source}: the log is not there`, { hint: 'name it with --data PATH' });
    const reading = { columns: columnsOf(flags, config.schema.columns), maxBadRows: flags.maxBadRows };
    ratings = await openRatings(source, reading, { task, positive: config.positive }, out, flags.progress);
    requireSameRatings(ratings, predictions, flags.model);
    const record = await loadTraining(files);
    const untested = record?.untested(ratings, predictions.round) ?? 0;
    if (untested > 0) {
      throw new InputError(
        'trained-on',
        `${source}: ${formatCount(untested)} of its ratings are not those that the rounds of ${flags.model} held out, so it may have been trained on them`,
        { hint: 'give the log of its training, unchanged' },
      );
    }
    if (!record) {
      out.warn(
        `${flags.model}: holds no ${TRAINING} (it is packed, or an earlier version made it): whether these ratings are those that it held out cannot be checked`,
      );
    }
  }
  const point = flags.predict ?? usualPoint(split, task);
  const report = ratingReport(predictions, task, point);
  out.object({
    ...reportObject(report, task, split, point),
    model: { path: flags.model, rounds: progress.rounds, of: progress.of },
  });
  printReport(report, split, point, out);
  if (flags.dump !== undefined && ratings) {
    dump(flags.dump, ratings, predictions, task, point);
    out.note(`${flags.dump}: ${formatCount(report.ratings)} lines, a tested rating each, in the log's order`);
  }
}

/** A line for each tested rating. */
function dump(file: string, ratings: Ratings, p: StoredPredictions, task: RatingTask, point: Point): void {
  try {
    const handle = openSync(file, 'w');
    let lines: string[] = [];
    const flush = () => {
      const bytes = Buffer.from(lines.join(''));
      for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
      lines = [];
    };
    try {
      p.round.forEach((round, row) => {
        if (round === 0) return;
        const [user, item] = [ratings.userIds[ratings.user[row]], ratings.itemIds[ratings.item[row]]];
        const predicted =
          task === 'ctr'
            ? { label: p.rating[row], probability: asWritten(p.mean[row]) }
            : {
                rating: asWritten(p.rating[row]),
                prediction: asWritten(p[point][row]),
                mean: asWritten(p.mean[row]),
                median: asWritten(p.median[row]),
              };
        lines.push(`${JSON.stringify({ user, item, ...predicted, round })}\n`);
        if (lines.length === 10_000) flush();
      });
      flush();
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    throw explain(error, file, 'write');
  }
}
