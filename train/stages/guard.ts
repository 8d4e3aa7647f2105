/** Keeps who was left out of the training as injected, and why (train/attack/guard.ts). */
import { commit, Snapshot } from '../../model/storage/manifest.ts';
import type { RankingStage } from './training-run.ts';

const encoder = new TextEncoder();

export const guard: RankingStage = {
  name: 'guard',

  applies: (plan) => plan.guard !== null,

  estimate: () => 0, // it is among the first

  load: async ({ plan, files }) => plan.resume && (await Snapshot.open(files)).has('guard.json'),

  async run({ plan, files }) {
    await commit(files, { 'guard.json': encoder.encode(`${JSON.stringify(plan.guard, null, 2)}\n`) });
  },
};
