/** Validation by full ranking, within the time that there is. */
import { option } from '../../data/errors.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import { evaluate, listLength } from '../evaluation/evaluate.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { type TrainOptions, validationUsers } from './options.ts';
import { TimeBudget } from './time-budget.ts';
import { timeUsers } from './timed-users.ts';
import type { TrainingClock } from './training-clock.ts';

export class Validator {
  readonly users: Uint32Array;
  private readonly model: SequenceModel;
  private readonly o: TrainOptions;
  private readonly clock: TrainingClock;
  private readonly scorer: Scorer;

  constructor(model: SequenceModel, o: TrainOptions, clock: TrainingClock) {
    this.model = model;
    this.o = o;
    this.clock = clock;
    this.scorer = new Scorer(model, { k: listLength(o.split) });
    this.users = validationUsers(o.split, o.settings, o.seed);
  }

  /**
   * Where there is a time limit, learns what a validation takes, from two batches of one: the first of them compiles.
   * @throws Stopped by the signal
   */
  async expect(report: () => void): Promise<void> {
    const { clock, users, o } = this;
    if (clock.left === Number.POSITIVE_INFINITY || users.length === 0) return;
    report();
    const time = new TimeBudget(undefined, o.signal);
    const { all } = await timeUsers(users, (some) => this.rank(some, () => time.pause(report)));
    const seconds = all / 1000;
    clock.expectValidation(seconds);
    if (clock.validates) return;
    const fewer = option('settings.validateUsers', Math.max(1, Math.floor(users.length / 10)));
    o.log?.(
      `validation: left out, since it would take ${Math.round(seconds)} of the ${Math.round(clock.left / 1000)} seconds that are left (fewer users: ${fewer})`,
    );
  }

  /**
   * Metrics of the weights as they are.
   * @param report hears the share that is done
   * @throws Stopped by the signal, or when the time is up
   */
  async metrics(report: (done: number) => void): Promise<Metrics> {
    const { clock, users, o } = this;
    const started = performance.now();
    const time = new TimeBudget(clock.validationDeadline, o.signal);
    report(0);
    const { metrics } = await this.rank(users, (done, total) => time.pause(() => report(done / total)));
    clock.validateSeconds = (performance.now() - started) / 1000;
    return metrics;
  }

  private rank(users: Uint32Array, onProgress: (done: number, total: number) => Promise<void>) {
    const { split, includeSeen, settings } = this.o;
    this.model.touch();
    return evaluate(this.model, split, {
      split: 'valid',
      includeSeen,
      requestTime: validatedAt(settings),
      users,
      scorer: this.scorer,
      onProgress,
    });
  }

  dispose(): void {
    this.scorer.dispose();
  }
}
