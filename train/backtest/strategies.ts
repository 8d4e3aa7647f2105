/** What may be done with what has happened: a strategy is a line in the table. */
import type { Files } from '../../model/storage/files.ts';
import { type PlanOptions, planTraining, type RankingPlan, type TrainingSource } from '../plan.ts';
import { planUpdate, type UpdateOptions } from '../update/update-plan.ts';

export interface LearningOptions {
  /** Of trainings from nothing. */
  training: PlanOptions;
  update: UpdateOptions;
}

export interface Strategy {
  summary: string;
  /** Whether the events since the first training are read as histories. */
  reads: boolean;
  /** Time of a training, in that of the first one; 0: it never learns. */
  cost: number;
  /** Plans to learn from all events so far, of which the new ones are marked. */
  plan?(model: Files, source: TrainingSource, options: LearningOptions): RankingPlan | Promise<RankingPlan>;
}

/** Time of an update, in that of a training from nothing. */
const UPDATE = 0.1;

export const STRATEGIES = {
  static: { summary: 'the first model, and histories as they were then', reads: false, cost: 0 },
  append: { summary: 'the first model; new events are read as histories', reads: true, cost: 0 },
  finetune: {
    summary: 'an update without replay, in a tenth of the time',
    reads: true,
    cost: UPDATE,
    plan: (model, source, { update }) => planUpdate(model, source, { ...update, replay: 0 }),
  },
  update: {
    summary: 'an update, in a tenth of the time',
    reads: true,
    cost: UPDATE,
    plan: (model, source, { update }) => planUpdate(model, source, update),
  },
  retrain: {
    summary: 'a training from nothing on all events',
    reads: true,
    cost: 1,
    // What is new is nothing special to it.
    plan: (_, { log: { fresh: _fresh, ...log }, ...source }, { training }) =>
      planTraining({ ...source, log }, training),
  },
} satisfies Record<string, Strategy>;

export type StrategyName = keyof typeof STRATEGIES;
