/** Before the encoder, with `items=codes`: the items' codes (train/item-codes.ts), which the weights are saved with. */
import { CodedTensor } from '../../model/storage/coded-tensor.ts';
import { type Tensors, loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { ITEM_WEIGHTS } from '../../model/encoders/network.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { findCodes } from '../item-codes.ts';
import type { RankingStage, TrainingRun } from './training-run.ts';

export const itemCodes: RankingStage = {
  name: 'item codes',

  applies: ({ settings }) => settings.items === 'codes',

  estimate: () => 0, // it takes what it needs

  async load(run) {
    const table = (await storedIn(run))?.get(ITEM_WEIGHTS);
    if (table instanceof CodedTensor) run.codes = table.codes;
    return run.codes !== null;
  },

  async run(run, budget) {
    const { split, settings, config } = run.plan;
    const time = budget.untilStopped(); // there is no encoder without
    run.report('codes', 0);
    run.codes = await findCodes(split, settings.itemCodes, config.seed, (done) =>
      time.pause(() => run.report('codes', done)),
    );
  },
};

/** The weights that the training starts from; null where there are none yet. */
async function storedIn({ plan, files }: TrainingRun): Promise<Tensors | null> {
  if (plan.warm) return plan.warm.tensors;
  if (plan.rankerOnly) return (await loadModel(files)).tensors;
  return plan.resume ? ((await loadCheckpoint(files))?.params ?? null) : null;
}
