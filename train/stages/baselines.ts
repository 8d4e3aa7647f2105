/** The simple recommenders that a model is compared with. They are no part of it: in a hurry it is trained without them. */
import { inPieces } from '../../data/pieces.ts';
import type { RankingStage } from './training-run.ts';

/** Of the time that is left, where there is a limit; */
const SHARE = 0.1;
/** or so many milliseconds, but not more than half of it, which is enough for a small log. */
const LEAST = 3000;

export const baselines: RankingStage = {
  name: 'baselines',

  applies: ({ validationUsers }) => validationUsers.length > 0,

  estimate: () => 0, // it is among the first

  load: async () => false,

  async run(run, budget) {
    run.report('baselines', 0);
    const { left, deadline } = budget;
    const own = Math.max(SHARE * left, Math.min(LEAST, left / 2));
    const time = deadline === undefined ? budget : budget.without(left - own);
    run.baselines = await inPieces(run.plan.baselines(), () => time.pause(() => run.report('baselines')));
  },
};
