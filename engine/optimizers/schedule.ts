/** The learning rate by step, for an optimizer's `learningRate`. It follows from the step alone, never from the clock. */

export interface ScheduleOptions {
  /** The full learning rate. */
  learningRate: number;
  /** Steps of the linear rise from 0; 0 by default. */
  warmup?: number;
  /** How it falls after that: `constant`, `linear`, or by a half cosine (Loshchilov & Hutter 2017, eq. 5); cosine by default. */
  decay?: 'constant' | 'linear' | 'cosine';
  /** The step at which it is down to the floor, where it stays; not needed for a constant one. */
  steps?: number;
  /** What is left of the full learning rate in the end, as a share of it; 0 by default. */
  floor?: number;
}

/**
 * A learning rate that rises linearly and falls: a function of the step, which counts from 1.
 * @throws Error for numbers out of range, and for a decay without its end
 */
export function schedule(options: ScheduleOptions): (step: number) => number {
  const { learningRate, warmup = 0, decay = 'cosine', steps = 0, floor = 0 } = options;
  if (!(learningRate >= 0 && warmup >= 0 && floor >= 0 && floor <= 1))
    throw new Error(
      `schedule: expected learningRate and warmup >= 0 and a floor in [0, 1], got ${learningRate}, ${warmup} and ${floor}`,
    );
  if (!['constant', 'linear', 'cosine'].includes(decay))
    throw new Error(`schedule: expected decay to be one of constant, linear, cosine, got ${decay}`);
  if (decay !== 'constant' && !(steps >= 1))
    throw new Error(`schedule: expected the number of steps after which a ${decay} decay ends, got ${steps}`);
  return (step) => {
    if (step <= warmup) return (learningRate * step) / warmup;
    if (decay === 'constant') return learningRate;
    const done = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
    const left = decay === 'linear' ? 1 - done : (1 + Math.cos(Math.PI * done)) / 2;
    return learningRate * (floor + (1 - floor) * left);
  };
}
