/** Stage 5: the ranker, on top of the model as it is served. */
import { encodeItems } from '../../data/features/encoder.ts';
import { type ItemTokens, itemTokens } from '../../data/features/item-tokens.ts';
import { inferSchema, type Schema } from '../../data/features/schema.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { usersWithTarget } from '../evaluation/evaluate.ts';
import { createEncoder } from '../loop/trainer.ts';
import { type RankingStage, stillFits, type TrainingRun } from './training-run.ts';
import { trainRanker } from './train-ranker.ts';

/** Its share of the time that it has with the encoder. */
const SHARE = 0.3;
/** Users that the ranker is validated on: more than the encoder's, since what it gains is small compared with noise. */
const MOST_USERS = 8192;
/** Distinct attribute tokens of the catalog, which each step encodes again. */
const MOST_TOKENS = 65536;

export const ranker: RankingStage = {
  name: 'ranker',

  applies: ({ settings, rankerOnly }) => rankerOnly || settings.ranker === 'on',

  estimate: (_, { left }) => SHARE * left,

  async load(run) {
    if (run.plan.rankerOnly) return false;
    const { ranker } = await loadModel(run.files);
    return ranker !== null && !ranker.unfinished && stillFits(run, ranker.stages);
  },

  async run(run, budget) {
    const { plan, device, files, encoder, includeSeen, sinks, result } = run;
    const { split, settings, config } = plan;
    run.report('ranking');
    const own = settings.rankerEncoder === 'own' ? await copyOf(run) : null;
    await trainRanker({
      device,
      files,
      split,
      settings,
      model: encoder,
      seed: config.seed,
      budget,
      includeSeen,
      log: sinks.log,
      table: await encoder.itemTable(),
      attributes: attributesOf(run),
      own,
      blend: run.scoring(),
      users: usersWithTarget(split, 'valid').slice(0, MOST_USERS),
      encoderStep: result?.bestStep ?? 0,
      onProgress: ({ step, loss, best, fraction }) =>
        sinks.onProgress?.({
          phase: 'ranking',
          done: null,
          step,
          epoch: result?.epoch ?? 0,
          steps: 0,
          fraction,
          loss,
          bestNdcg: best,
          tokensPerSecond: 0,
          secondsLeft: budget.deadline === undefined ? null : budget.left / 1000,
        }),
    });
  },
};

/** The attributes that the ranker reads: those of the item tower where there is one, else what the items' columns say. */
function attributesOf({ plan, sinks }: TrainingRun): { schema: Schema; tokens: ItemTokens } | null {
  if (plan.settings.rankerItems === 'ids') return null;
  const items = plan.items.slice(0, plan.split.items);
  const schema = plan.config.schema.items ?? inferSchema(items);
  const tokens = itemTokens(encodeItems(schema, items));
  const distinct = tokens.bags.starts.length - 1;
  if (distinct > 0 && distinct <= MOST_TOKENS) return { schema, tokens };
  const why = distinct === 0 ? 'the items have no attributes' : `${distinct} distinct attributes are too many`;
  sinks.log?.(`ranker: ${why}; candidates are their IDs alone`);
  return null;
}

/** The encoder once more, to be trained. */
async function copyOf({ plan, device, encoder }: TrainingRun): Promise<SequenceModel> {
  const own = createEncoder({ ...plan, device, seed: plan.config.seed });
  own.parameters.load('params', await encoder.parameters.read());
  return own;
}
