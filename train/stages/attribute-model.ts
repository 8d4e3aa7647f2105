/** Stage 3 under the protocol cold-items: the attribute model, fitted on the cold items of the validation. */
import { ColdSplit } from '../../data/splits/cold.ts';
import type { Similarity } from '../../data/features/similarity.ts';
import type { AttributeModel } from '../../model/transitions/attribute-model.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { loadConfig, saveAttributeModel } from '../../model/storage/config.ts';
import { blended, learnAttributes, ranksOf, standardize, towerScores } from '../evaluation/cold-items.ts';
import { type Metrics, RankMetrics } from '../evaluation/metrics.ts';
import { type RankingStage, stillFits } from './training-run.ts';

/** What is tried on validation. */
const LAMBDAS = [2, 5, 10];
const TEXTS = [0.3, 1];
const WEIGHTS = [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
/** Metrics that config.json keeps. */
const KEPT = ['NDCG@10', 'HR@10', 'Recall@10'];
/** Milliseconds set aside for it; half of the time where that is less. */
const RESERVE = 90_000;

export const attributeModel: RankingStage = {
  name: 'attribute model',

  applies: ({ split }) => split instanceof ColdSplit,

  estimate: (_, { left }) => Math.min(RESERVE, left / 2),

  async load(run) {
    const { attributeMemory } = await loadConfig(run.files);
    return attributeMemory !== undefined && stillFits(run, attributeMemory);
  },

  async run(run, budget) {
    const { split, similarity, validationUsers } = run.plan;
    if (!(split instanceof ColdSplit) || !similarity) throw new Error('cold items: the items have no attributes');
    run.report('blending', 0);
    const pause = (done: number) => budget.pause(() => run.report('blending', done));
    const attributes = await fitAttributes(run.encoder, split, similarity, validationUsers, pause);
    run.attributes = { ...attributes, step: run.result?.bestStep ?? undefined };
  },

  async save({ files, attributes }) {
    if (attributes) await saveAttributeModel(files, attributes);
  },
};

/** Chooses λ, the weight of texts and that of the attribute model by NDCG@10 on the cold items of the validation. */
async function fitAttributes(
  model: SequenceModel,
  split: ColdSplit,
  similar: Similarity,
  users: Uint32Array,
  pause: (done: number) => Promise<void>,
): Promise<AttributeModel> {
  const { device } = model;
  const kept: { history: Uint32Array; targets: Uint32Array; tower: Float64Array }[] = [];
  const scoring = towerScores(model, split, 'valid', users, (done, total) => pause((0.3 * done) / total));
  for await (const one of scoring) kept.push(one);
  let best: AttributeModel | null = null;
  let fits = 0;
  for (const lambda of LAMBDAS) {
    for (const text of TEXTS) {
      const done = 0.3 + (0.7 * fits++) / (LAMBDAS.length * TEXTS.length);
      const scores = await learnAttributes(device, split, 'valid', similar, { lambda, text }, () => pause(done));
      const trials = WEIGHTS.map(() => new RankMetrics());
      for (const { history, targets, tower } of kept) {
        const attributes = standardize(scores(history));
        WEIGHTS.forEach((weight, i) => {
          trials[i].addUser(ranksOf(blended(tower, attributes, weight), targets));
        });
        await pause(done);
      }
      const metrics = trials.map((trial) => pick(trial.result()));
      metrics.forEach((blend, i) => {
        if (best && blend['NDCG@10'] <= best.fitted.blend['NDCG@10']) return;
        const fitted = { users: users.length, transformer: metrics[0], attributes: metrics[WEIGHTS.length - 1], blend };
        best = { lambda, text, weight: WEIGHTS[i], fitted };
      });
    }
  }
  if (!best) throw new Error('cold items: no users to fit on');
  return best;
}

const pick = (metrics: Metrics): Metrics => Object.fromEntries(KEPT.map((name) => [name, metrics[name]]));
