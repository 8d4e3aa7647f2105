/** The time of a training: how much is left, and when to stop. */
import { InputError } from '../../data/errors.ts';

/** Ends work in the middle, because it was interrupted or its time is up. What was saved stays. */
export class Stopped extends Error {
  override name = 'Stopped';
  readonly reason: 'interrupted' | 'time';

  constructor(reason: 'interrupted' | 'time') {
    super(reason === 'time' ? 'the time is up' : 'interrupted');
    this.reason = reason;
  }
}

/** Milliseconds of work on the host between two turns of the event loop, so that progress is seen and Ctrl-C heard. */
const TURN_MS = 50;

export class TimeBudget {
  /** `performance.now()` at which everything must be saved; undefined without a limit. */
  readonly deadline: number | undefined;
  readonly signal: AbortSignal | undefined;
  private turn = performance.now();

  constructor(deadline?: number, signal?: AbortSignal) {
    this.deadline = deadline;
    this.signal = signal;
  }

  static ofMinutes(minutes: number | undefined, signal?: AbortSignal, started = performance.now()): TimeBudget {
    if (minutes !== undefined && !(minutes > 0)) {
      throw new InputError('invalid-value', `expected a number > 0, got ${minutes}`, { setting: 'maxMinutes' });
    }
    return new TimeBudget(minutes === undefined ? undefined : started + minutes * 60_000, signal);
  }

  /** Milliseconds; infinite without a limit. */
  get left(): number {
    return this.deadline === undefined ? Number.POSITIVE_INFINITY : Math.max(0, this.deadline - performance.now());
  }

  /** What is left when this many milliseconds are set aside. */
  without(reserve: number): TimeBudget {
    return new TimeBudget(this.deadline === undefined ? undefined : this.deadline - reserve, this.signal);
  }

  /** For what must be done whatever the time: only the signal stops it. */
  untilStopped(): TimeBudget {
    return new TimeBudget(undefined, this.signal);
  }

  /** @throws Stopped when it is time to stop */
  check(): void {
    if (this.signal?.aborted) throw new Stopped('interrupted');
    if (this.left <= 0) throw new Stopped('time');
  }

  /** Lets others run now and then. @throws Stopped when it is time to stop */
  async pause(report?: () => void): Promise<void> {
    this.check();
    if (performance.now() - this.turn < TURN_MS) return;
    await new Promise((resolve) => setTimeout(resolve));
    this.turn = performance.now();
    this.check();
    report?.();
  }
}
