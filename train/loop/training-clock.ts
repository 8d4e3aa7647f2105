/** What the pieces of an encoder's training take, and whether the time that is left suffices for another one. */

/** Milliseconds that are kept free for what is not measured. */
const SPARE = 1500;
/** Steps that a step's time is the mean of: two are in flight at once, and the second one waits for both. */
const RECENT = 8;

export class TrainingClock {
  /** Of the runs that this one continues. */
  elapsedBefore = 0;
  /** Of a checkpoint; 0 before the first. */
  saveSeconds = 0;
  /** Of a validation: estimated, then measured. */
  validateSeconds = 0;
  /** Whether validations fit the limit; otherwise all of the time is for the steps. */
  validates = true;
  private readonly started = performance.now();
  private readonly deadline: number | undefined;
  private readonly recent: number[] = [];
  private stepSeconds = 0;
  private stepTokens = 0;

  /** @param deadline `performance.now()` at which everything must be saved; undefined without a limit */
  constructor(deadline: number | undefined) {
    this.deadline = deadline;
  }

  /** Of this run. */
  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  /** Seconds, with those of the runs that this one continues. */
  get elapsed(): number {
    return this.elapsedBefore + this.seconds;
  }

  /** Of the steps alone. */
  get tokensPerSecond(): number {
    return this.stepSeconds > 0 ? this.stepTokens / this.stepSeconds : 0;
  }

  /** The share of the time limit that has passed; 0 without one. */
  get fraction(): number {
    return this.deadline === undefined ? 0 : (performance.now() - this.started) / (this.deadline - this.started);
  }

  /** Milliseconds until the limit; infinite without one. */
  get left(): number {
    return this.deadline === undefined ? Number.POSITIVE_INFINITY : this.deadline - performance.now();
  }

  /** `performance.now()` at which a validation must have ended, so that what follows it can be saved; a short one may always. */
  get validationDeadline(): number | undefined {
    if (this.deadline === undefined) return undefined;
    return Math.max(this.deadline - 1000 * 1.5 * this.saveSeconds, performance.now() + SPARE);
  }

  /** @param fraction of the run, 0 to 1; at 0 the answer is null */
  secondsLeft(fraction: number): number | null {
    return fraction > 0 ? (this.seconds * (1 - fraction)) / fraction : null;
  }

  /** Counts a step in which nothing was compiled. */
  tookStep(milliseconds: number, tokens: number): void {
    this.stepSeconds += milliseconds / 1000;
    this.stepTokens += tokens;
    this.recent.push(milliseconds);
    if (this.recent.length > RECENT) this.recent.shift();
  }

  /** Sets aside the time of a validation, or none if it is long, and would take more than three fifths of what is left. */
  expectValidation(seconds: number): void {
    this.validateSeconds = seconds;
    this.validates = 1000 * seconds <= 0.6 * Math.max(SPARE, this.left);
  }

  /** Whether the time is up: two steps in flight would not end in time for the last validation and for saving. */
  get isUp(): boolean {
    const step = this.recent.reduce((sum, ms) => sum + ms, 0) / Math.max(1, this.recent.length);
    const validation = this.validates ? 1.3 * this.validateSeconds : 0;
    return this.left < 2 * step + 1000 * (validation + 2.5 * this.saveSeconds) + SPARE;
  }
}
