/** Stage 1: item transitions, in closed form, before the first step of the encoder. */
import { ColdSplit } from '../../data/splits/cold.ts';
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

  async save({ files, transitions }) {
    if (transitions) await saveTransitions(files, transitions);
  },
};
