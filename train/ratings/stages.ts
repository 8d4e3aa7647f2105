/**
 * The stages of a training on ratings: the record, then the rounds, each saved when it ends. With folds the last round is
 * the model of all ratings, which is served; otherwise the only round's own is.
 */
import type { Fold } from '../../data/splits/folds.ts';
import { InputError } from '../../data/errors.ts';
import { loadPredictions, loadRatingModel, saveRatingModel, savePredictions } from '../../model/ratings/folder.ts';
import type { Files } from '../../model/storage/files.ts';
import { recordRatings } from '../../model/storage/training-record.ts';
import { recordStage } from '../stages/record.ts';
import type { Stage } from '../stages/stage.ts';
import type { RatingRun, RatingRunSharing } from './rating-run.ts';
import { type RoundResult, trainRound } from './round.ts';

export const ratingStages = ({ rounds }: RatingRun): Stage<RatingRun>[] => [
  recordStage(({ files, plan, rounds }, pause) => recordRatings(files, plan.ratings, rounds, plan.config.seed, pause)),
  ...rounds.map((rows, r) => roundStage(rows, r)),
];

const roundStage = (rows: Fold, r: number): Stage<RatingRun> => ({
  name: `round ${r + 1}`,

  /** The rounds that are left share the time evenly. */
  estimate({ progress, sinks }, { left }) {
    if (r < progress.rounds || isElsewhere(sinks, r)) return 0;
    return left / (r - progress.rounds + 1);
  },

  async load(run) {
    if (r < run.progress.rounds) return true;
    if (!isElsewhere(run.sinks, r)) return false;
    if (run.sinks.trainedRound) await takeRound(run, await run.sinks.trainedRound(r), rows, r);
    return true;
  },

  async run(run, budget) {
    const { ratings, settings, features, split, config } = run.plan;
    run.result = await trainRound({
      device: run.device,
      ratings,
      rows,
      settings,
      features,
      seed: config.seed,
      tail: split.name === 'last',
      budget,
      onProgress: (progress) => run.reportRound(progress),
    });
  },

  async save(run) {
    const { files, predictions, progress, result } = run;
    if (!result) throw new Error('ratings: no round has ended');
    run.cut ||= result.reason === 'time';
    rows.test.forEach((row, i) => {
      predictions.round[row] = r + 1;
      for (const name of ['mean', 'median', 'factors', 'biases'] as const)
        predictions[name][row] = result.predictions[name][i];
    });
    progress.rounds = r + 1;
    progress.steps += result.steps;
    progress.epochs.push(result.epochs);
    progress.elapsedSeconds = run.allSeconds;
    // The model first: a kill in between repeats the round, and leaves a model that has its predictions.
    if (run.done) await saveServed(run, result);
    await savePredictions(files, predictions, progress);
    run.dispose();
    run.sinks.log?.(describeRound(run, rows, result));
  },
});

/** Whether another process trains a round. */
const isElsewhere = ({ onlyRound, trainedRound }: RatingRunSharing, r: number): boolean =>
  trainedRound !== undefined || (onlyRound !== undefined && onlyRound !== r);

/** Takes over a round that another process has trained. @throws InputError where its folder is not of this training */
async function takeRound(run: RatingRun, from: Files, { test }: Fold, r: number): Promise<void> {
  const { files, predictions, progress } = run;
  const found = await loadPredictions(from);
  const fits =
    found?.progress.rounds === r + 1 &&
    found.progress.of === progress.of &&
    found.predictions.round.length === predictions.round.length &&
    test.every((row) => found.predictions.round[row] === r + 1);
  if (!found || !fits)
    throw new InputError('mismatched-data', `${from.where}: expected round ${r + 1} of this training`);
  for (const name of ['round', 'mean', 'median', 'factors', 'biases'] as const)
    for (const row of test) predictions[name][row] = found.predictions[name][row];
  progress.rounds = r + 1;
  progress.steps += found.progress.steps;
  progress.epochs.push(found.progress.epochs.at(-1) ?? 0);
  progress.elapsedSeconds += found.progress.elapsedSeconds;
  if (run.done) await saveRatingModel(files, await loadRatingModel(from), progress);
  await savePredictions(files, predictions, progress);
}

async function saveServed({ files, plan, progress }: RatingRun, result: RoundResult): Promise<void> {
  const { model, baseline, events } = result;
  const values = await model.parameters.read('params');
  const parameters = new Map(
    [...values].map(([name, data]) => [name, { shape: [...model.parameters.shapeOf(name)], data }]),
  );
  const { factors, spread, coldSpread } = baseline;
  const { levels } = plan.ratings;
  await saveRatingModel(
    files,
    { parameters, factors, levels, itemCounts: events.itemCounts, spread, coldSpread },
    progress,
  );
}

function describeRound({ plan, progress }: RatingRun, { test }: Fold, { reason, epochs, predictions }: RoundResult) {
  const round = `round ${progress.rounds} of ${progress.of}`;
  const cut = reason === 'time' ? `, cut by the time limit after ${epochs.toFixed(1)} epochs` : '';
  if (test.length === 0) return `${round}: the model of all ratings, to serve${cut}`;
  let squares = 0;
  test.forEach((row, i) => {
    squares += (predictions.mean[i] - plan.ratings.value[row]) ** 2;
  });
  return `${round}: RMSE ${Math.sqrt(squares / test.length).toFixed(4)} on ${test.length.toLocaleString('en-US')} ratings${cut}`;
}
