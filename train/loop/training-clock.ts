/** What the pieces of an encoder's training take, and whether the time that is left suffices for another step. */
export class TrainingClock {
  /** Of the runs that this one continues. */
  elapsedBefore = 0;
  /** Of the last validation and the last checkpoint; 0 before them. */
  validateSeconds = 0;
  saveSeconds = 0;
  private readonly started = performance.now();
  private readonly deadline: number | undefined;
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

  /** @param fraction of the run, 0 to 1; at 0 the answer is null */
  secondsLeft(fraction: number): number | null {
    return fraction > 0 ? (this.seconds * (1 - fraction)) / fraction : null;
  }

  /** Counts a step in which nothing was compiled. */
  tookStep(milliseconds: number, tokens: number): void {
    this.stepSeconds += milliseconds / 1000;
    this.stepTokens += tokens;
  }

  /**
   * Whether no other step fits: time is kept free for the last validation and for saving.
   * @param perStep milliseconds of a step
   * @param validationTokens tokens of a validation, asked for while none was measured
   */
  isUp(perStep: number, validationTokens: () => number): boolean {
    if (this.deadline === undefined) return false;
    const reserve = 1.3 * (this.validateSeconds || this.guessValidation(validationTokens)) + 2.5 * this.saveSeconds;
    return performance.now() + perStep * 2 + reserve * 1000 + 1500 > this.deadline;
  }

  /** Seconds of a validation: a forward pass takes about a third of a step's time a token. */
  private guessValidation(tokens: () => number): number {
    return this.stepTokens > 0 ? (tokens() * this.stepSeconds) / this.stepTokens / 2 : 0;
  }
}
