/** The learning rate by step. It follows from settings and step alone: the clock may stop a run, never steer it. */
import { InputError, option } from '../../data/errors.ts';
import { schedule } from '../../engine/index.ts';
import type { Settings } from '../../model/recipes/settings.ts';

/** What is left of the learning rate at the cosine's horizon and after it. */
const FLOOR = 0.01;

/**
 * The cosine's horizon in steps: a setting, or the length of the epochs asked for; 0 where the schedule needs none.
 * @throws InputError for a cosine without a horizon
 */
export function horizonOf(s: Settings, epochs: number | undefined, stepsPerEpoch: number): number {
  requireHorizon(s, epochs);
  return s.schedule === 'constant' ? 0 : s.scheduleSteps || (epochs ?? 0) * stepsPerEpoch;
}

/** @throws InputError for a cosine without a horizon */
export function requireHorizon(s: Settings, epochs: number | undefined): void {
  if (s.schedule !== 'cosine' || s.scheduleSteps > 0 || epochs !== undefined) return;
  throw new InputError('conflicting-settings', 'its end must be known', {
    setting: 'settings.schedule',
    value: 'cosine',
    hint: `add ${option('epochs', 'N')} or ${option('settings.scheduleSteps', 'N')} (a time limit may stop a run, but not steer it)`,
  });
}

/**
 * Learning rate of a step, which counts from 1: rises linearly to the full one over `warmup` steps, then stays, or falls
 * by a half cosine (Loshchilov & Hutter 2017, eq. 5) to a hundredth at the horizon.
 */
export function learningRateAt(s: Settings, step: number, horizon: number): number {
  const { learningRate, warmup, schedule: decay } = s;
  return schedule({ learningRate, warmup, decay, steps: Math.max(1, horizon), floor: FLOOR })(step);
}
