/** Stage 2: the encoder, by train/loop/trainer.ts, or by several machines in train/parallel/rounds.ts, kept by how it ranks alone. */
import { InputError } from '../../data/errors.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { Stopped } from '../loop/time-budget.ts';
import { trainEncoder } from '../loop/trainer.ts';
import { trainInRounds } from '../parallel/rounds.ts';
import { trainPrivately } from '../privacy/trainer.ts';
import type { RankingStage, TrainingRun } from './training-run.ts';

export const encoder: RankingStage = {
  name: 'encoder',

  applies: () => true,

  /** Of the time before it, half: transitions that take longer than that are given up. */
  estimate: (_, { left }) => left / 2,

  async load(run) {
    if (!run.plan.rankerOnly) return false;
    await loadTrained(run);
    return true;
  },

  async run(run, { deadline, signal }) {
    const { plan, device, files, includeSeen, transitions, partitions, initialized } = run;
    const { parallel, privacy } = plan.config;
    const options = {
      ...plan,
      ...run.sinks,
      // An update is short, and has a patience of its own.
      transitions: transitions && !plan.warm ? run.deviceTransitions(transitions) : null,
      initialized,
      device,
      files,
      seed: plan.config.seed,
      deadline,
      signal,
      includeSeen,
    };
    const { result, best } =
      parallel && partitions
        ? await trainInRounds(run.encoder, options, { ...plan.config, parallel }, partitions)
        : privacy
          ? await trainPrivately(run.encoder, options, privacy)
          : await trainEncoder(run.encoder, options);
    run.result = result;
    if (result.reason === 'interrupted') throw new Stopped('interrupted');
    await run.useBest(best);
  },
};

/** A model whose training has ended, as if it just had. */
async function loadTrained(run: TrainingRun): Promise<void> {
  const { files } = run;
  const { weights, tensors, blended } = await loadModel(files);
  if (weights.from === 'checkpoint') {
    throw new InputError(
      'unfinished-model',
      `${files.where}: not validated yet; a ranker needs a model whose training has ended`,
    );
  }
  const { step, epoch, metrics } = weights;
  run.blend = blended?.blend ?? null;
  run.result = {
    reason: 'ranker',
    step,
    epoch: Math.floor(epoch),
    bestNdcg: metrics?.['NDCG@10'] ?? null,
    bestStep: step,
    losses: [],
    validations: [],
    seconds: 0,
    tokens: 0,
  };
  await run.useBest(tensors);
}
