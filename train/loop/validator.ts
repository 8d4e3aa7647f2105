/**
 * Validation by full ranking, within the time that there is. Where there are item transitions, the same pass on the device
 * ranks by a few blends of both, too: they tell whether the encoder adds to them.
 */
import { option } from '../../data/errors.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { Scored } from '../../model/inference/scored.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import { coarseTrials, unblended } from '../evaluation/blend-trials.ts';
import { evaluate, listLength } from '../evaluation/evaluate.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { type Blended, blendedOf } from './blend-gain.ts';
import { type TrainOptions, validationUsers } from './options.ts';
import { TimeBudget } from './time-budget.ts';
import { timeUsers } from './timed-users.ts';
import type { TrainingClock } from './training-clock.ts';

export interface Validated {
  /** Of the encoder alone. */
  metrics: Metrics;
  /** Of blends of the encoder and the item transitions; null without any. */
  blended: Blended | null;
}

/** Scores (users × items) of a validation up to which blends are ranked, too: larger logs have enough to learn from. */
const BLENDED_SCORES = 2 ** 22;

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
    const { transitions, split } = o;
    this.users = validationUsers(o.split, o.settings, o.seed);
    const { items, manyTargets } = split;
    // Several targets need lists, of which a trial has none.
    const few = !manyTargets && this.users.length * items <= BLENDED_SCORES;
    const blend = few && transitions ? { transitions, weights: unblended(items) } : null;
    this.scorer = new Scorer(model, {
      k: listLength(split),
      ...(blend && { blend, components: true, trials: coarseTrials(items) }),
    });
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
   * How the weights rank as they are.
   * @param report hears the share that is done
   * @throws Stopped by the signal, or when the time is up
   */
  async validate(report: (done: number) => void): Promise<Validated> {
    const { clock, users, o } = this;
    const started = performance.now();
    const time = new TimeBudget(clock.validationDeadline, o.signal);
    report(0);
    const validated = await this.rank(users, (done, total) => time.pause(() => report(done / total)));
    clock.validateSeconds = (performance.now() - started) / 1000;
    return validated;
  }

  private async rank(
    users: Uint32Array,
    onProgress: (done: number, total: number) => Promise<void>,
  ): Promise<Validated> {
    const { split, includeSeen, settings } = this.o;
    this.model.touch();
    const scored: Scored[] = [];
    const { metrics, parts } = await evaluate(this.model, split, {
      split: 'valid',
      includeSeen,
      requestTime: validatedAt(settings),
      users,
      scorer: this.scorer,
      onProgress,
      onUser: (_user, _targets, _ranks, ranks) => scored.push(ranks),
    });
    return { metrics: parts.transformer ?? metrics, blended: blendedOf(scored) };
  }

  dispose(): void {
    this.scorer.dispose();
  }
}
