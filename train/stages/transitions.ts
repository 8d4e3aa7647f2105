/** Stage 1: item transitions, in closed form, before the first step of the encoder. */
import { ColdSplit } from '../../data/splits/cold.ts';
import { saveBlend } from '../../model/storage/config.ts';
import { loadTransitions, saveTransitions } from '../../model/transitions/transitions.ts';
import { chooseTransitions } from '../transitions/choose.ts';
import { learnTransitions } from '../transitions/learn.ts';
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
    const { device, plan } = run;
    const { validationUsers: users, split } = plan;
    const known = (plan.chosen ?? plan.warm)?.transitions;
    const seen = run.includeSeen ? 'kept' : 'excluded';
    const pause = (done: number) => budget.pause(() => run.report('transitions', done));
    run.transitions = known
      ? await learnTransitions(device, split, { ...known, method: undefined, pause })
      : await chooseTransitions(device, split, { users, seen, pause });
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
