/**
 * The stages of a training on ratings: the record, then the rounds, each saved when it ends. With folds the last round is
 * the model of all ratings, which is served; otherwise the only round's own is.
 */
import type { Fold } from '../../data/splits/folds.ts';
import { saveRatingModel, savePredictions } from '../../model/ratings/folder.ts';
import { recordRatings } from '../../model/storage/training-record.ts';
import { recordStage } from '../stages/record.ts';
import type { Stage } from '../stages/stage.ts';
import type { RatingRun } from './rating-run.ts';
import { type RoundResult, trainRound } from './round.ts';

export const ratingStages = ({ rounds }: RatingRun): Stage<RatingRun>[] => [
  recordStage(({ files, plan, rounds }, pause) => recordRatings(files, plan.ratings, rounds, plan.config.seed, pause)),
  ...rounds.map((rows, r) => roundStage(rows, r)),
];

const roundStage = (rows: Fold, r: number): Stage<RatingRun> => ({
  name: `round ${r + 1}`,

  /** The rounds that are left share the time evenly. */
  estimate: ({ progress }, { left }) => (r < progress.rounds ? 0 : left / (r - progress.rounds + 1)),

  load: async ({ progress }) => r < progress.rounds,

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
