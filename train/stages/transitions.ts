/** Stage 1: item transitions, in closed form, before the first step of the encoder. */
import { ColdSplit } from '../../data/splits/cold.ts';
import { saveBlend } from '../../model/storage/config.ts';
import { loadTransitions, saveTransitions } from '../../model/transitions/transitions.ts';
import { learnTransitions } from './learn-transitions.ts';
import type { RankingStage } from './training-run.ts';

export const transitions: RankingStage = {
  name: 'item transitions',

  applies: ({ settings, split }) => settings.memory === 'on' && !(split instanceof ColdSplit),

  estimate: () => 0, // it is the first

  async load(run) {
    run.transitions = await loadTransitions(run.files, run.plan.split.items);
    return run.transitions !== null || run.plan.rankerOnly;
  },

  async run(run, budget) {
    run.report('transitions', 0);
    run.transitions = await learnTransitions(run.device, run.plan.split, {
      pause: (done) => budget.pause(() => run.report('transitions', done)),
    });
  },

  async save(run) {
    const { files, transitions, plan } = run;
    if (!transitions) return;
    await saveTransitions(files, transitions);
    if (!plan.warm?.blend) return;
    run.blend = plan.warm.blend;
    await saveBlend(files, run.blend);
  },
};
