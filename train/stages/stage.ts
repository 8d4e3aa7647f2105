/** What a stage of a training is, and how stages run: one after the other, under one time budget. */
import { Stopped, type TimeBudget } from '../loop/time-budget.ts';

/** A step of a training. @template Run what the stages of a training share */
export interface Stage<Run> {
  readonly name: string;
  /** Milliseconds to set aside for it of those that are left, before an earlier stage runs. */
  estimate(run: Run, budget: TimeBudget): number | Promise<number>;
  /** Takes what an earlier training left in the folder. @returns whether nothing is left to do */
  load(run: Run): Promise<boolean>;
  /** @throws Stopped when it was interrupted, or its time is up: nothing of it is saved then */
  run(run: Run, budget: TimeBudget): Promise<void>;
  /** Writes what it has learned, unless `run` did so while it learned. */
  save?(run: Run): Promise<void>;
}

/**
 * Runs the stages that an earlier training has not done.
 * @param log called for a stage whose time is up; the later ones run without it
 * @returns false where the signal ended it
 */
export async function runStages<Run>(
  stages: readonly Stage<Run>[],
  run: Run,
  budget: TimeBudget,
  log?: (line: string) => void,
): Promise<boolean> {
  for (const [i, stage] of stages.entries()) {
    try {
      if (await stage.load(run)) continue;
      await stage.run(run, await shareOf(run, budget, stages.slice(i + 1)));
      await stage.save?.(run);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      if (error.reason === 'interrupted') return false;
      log?.(`${stage.name}: given up, its time is up`);
    }
  }
  return true;
}

/** The time of a stage: what the later ones are expected to take is set aside, the last one's first. */
async function shareOf<Run>(run: Run, budget: TimeBudget, later: readonly Stage<Run>[]): Promise<TimeBudget> {
  if (budget.deadline === undefined) return budget;
  let share = budget;
  for (const stage of [...later].reverse()) share = share.without(await stage.estimate(run, share));
  return share;
}
