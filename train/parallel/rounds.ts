/**
 * Data-parallel training by rare synchronization: DiLoCo (Douillard et al., "DiLoCo: Distributed Low-Communication Training of
 * Language Models", 2023, algorithm 1). In each round every partition of the users is trained for some steps from the shared
 * weights θ, and an outer Nesterov step takes the mean Δ of the changes as its negative gradient:
 *
 *   v ← μ v + Δ,   θ ← θ + η (Δ + μ v)
 *
 * With η = 1 and μ = 0 the shared weights become the mean of the partitions'; with one partition, those of ordinary training.
 * Validation, early stopping, the best weights, and checkpoints are those of ordinary training (train/loop/trainer.ts); a step
 * counts once for all partitions. Partitions that do not come back in time do not count in a round.
 */
import { InputError } from '../../data/errors.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import {
  type Counters,
  loadCheckpoint,
  newCounters,
  saveCheckpoint,
  saveModel,
  type Tensors,
} from '../../model/storage/checkpoint.ts';
import type { ModelConfig, Parallel } from '../../model/storage/config.ts';
import { appendMetrics, trimMetrics } from '../../model/storage/folder.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { BlendGain } from '../loop/blend-gain.ts';
import type { RoundRecord, TrainOptions, TrainProgress, TrainResult, Validation } from '../loop/options.ts';
import { Stopped } from '../loop/time-budget.ts';
import { TrainingClock } from '../loop/training-clock.ts';
import { Validator } from '../loop/validator.ts';
import { decodeExchange, encodeExchange, type Shapes, termsOf } from './exchange.ts';
import type { PartitionOutcome, Partitions } from './options.ts';
import {
  type PartitionReport,
  reportCheck,
  CHANGE,
  folderOf,
  type Round,
  roundFile,
  weightsFile,
} from './partition.ts';

type Values = Map<string, Float32Array>;

/** Of a checkpoint, besides weights and counters. */
interface Extra extends Record<string, unknown> {
  round: number;
  /** The folder with the moments of each partition; null before its first round. */
  states: (string | null)[];
  tokens: number;
  /** The step of the last validation. */
  validated: number;
  validationDue: boolean;
  recent: { sum: number; count: number };
  /** Of {@link BlendGain}. */
  blend?: BlendGain['state'];
}

/** Milliseconds kept free before the end for what is not measured. */
const SPARE = 1500;

/** As `trainEncoder` of train/loop/trainer.ts, with the partitions' help. */
export async function trainInRounds(
  model: SequenceModel,
  options: TrainOptions,
  config: ModelConfig & { parallel: Parallel },
  partitions: Partitions,
): Promise<{ result: TrainResult; best: Tensors | null }> {
  const rounds = new Rounds(model, options, config, partitions);
  try {
    const result = await rounds.run();
    return { result, best: rounds.best };
  } finally {
    rounds.dispose();
  }
}

class Rounds {
  best: Tensors | null = null;
  private readonly model: SequenceModel;
  private readonly o: TrainOptions;
  private readonly parallel: Parallel;
  private readonly terms: string;
  private readonly partitions: Partitions;
  private readonly shapes: Shapes;
  private readonly clock: TrainingClock;
  private readonly validator: Validator;
  private readonly gain = new BlendGain();
  /** θ, v, and the moving average of θ where the settings ask for one. */
  private weights: Values = new Map();
  private velocity: Values = new Map();
  private average: Values | null = null;
  private counters: Counters;
  private extra: Extra;
  private readonly losses: { step: number; loss: number }[] = [];
  private readonly validations: Validation[] = [];
  private readonly records: RoundRecord[] = [];
  private tokens = 0;
  /** Seconds of the last round besides its steps. */
  private overhead = 0;

  constructor(
    model: SequenceModel,
    o: TrainOptions,
    config: ModelConfig & { parallel: Parallel },
    partitions: Partitions,
  ) {
    this.model = model;
    this.o = o;
    this.parallel = config.parallel;
    this.terms = termsOf(config);
    this.partitions = partitions;
    this.shapes = new Map(model.parameters.names.map((name) => [name, model.parameters.shapeOf(name)]));
    this.clock = new TrainingClock(o.deadline);
    this.validator = new Validator(model, o, this.clock);
    this.counters = newCounters(o.seed);
    this.extra = {
      round: 0,
      states: Array.from({ length: this.parallel.workers }, () => null),
      tokens: 0,
      validated: 0,
      validationDue: false,
      recent: { sum: 0, count: 0 },
    };
  }

  async run(): Promise<TrainResult> {
    try {
      return await this.finish(await this.untilStopped());
    } catch (error) {
      if (!(error instanceof Stopped) || error.reason !== 'interrupted') throw error;
      // The last round that was averaged is saved.
      return this.result('interrupted');
    }
  }

  private async untilStopped(): Promise<TrainResult['reason']> {
    const { o, extra } = this;
    if (!(await this.restore())) return 'finished before';
    await this.validator.expect(() => this.report('compiling'));
    if (this.extra.validationDue) await this.validate();
    for (;;) {
      if (this.outOfPatience()) return 'early-stopping';
      if (o.epochs !== undefined && this.counters.epoch >= o.epochs) return 'epochs';
      if (o.signal?.aborted) throw new Stopped('interrupted');
      const until = this.until();
      if (until !== undefined && until - Date.now() < 1200 * this.overhead) return 'time';
      const ended = await this.round(until);
      if (ended === 'epochs') this.counters.epoch = o.epochs ?? this.counters.epoch;
      await this.checkpoint();
      if (this.counters.step - extra.validated >= this.validateSteps) await this.validate();
      if (ended !== null) return ended;
    }
  }

  private outOfPatience(): boolean {
    return this.gain.endsTraining(this.counters.patience, this.o);
  }

  /** Milliseconds since 1970 at which partitions must be back, so that the rest fits the time limit. */
  private until(): number | undefined {
    const { clock } = this;
    if (clock.left === Number.POSITIVE_INFINITY) return undefined;
    const validation = clock.validates ? 1.3 * clock.validateSeconds : 0;
    const average = 1.5 * (this.records.at(-1)?.seconds.average ?? 0);
    return Date.now() + clock.left - 1000 * (validation + average + 2.5 * clock.saveSeconds) - SPARE;
  }

  /** As in ordinary training: those of the settings, or an epoch's. */
  private get validateSteps(): number {
    const { settings, split } = this.o;
    const inStep = settings.budget * settings.accumulate * this.parallel.workers;
    return settings.validateSteps || Math.max(64, Math.ceil(split.trainPositions() / inStep));
  }

  /** One round. @returns why the training ends with it, if it does */
  private async round(until: number | undefined): Promise<'epochs' | 'time' | null> {
    const { o, partitions, parallel, extra } = this;
    const started = performance.now();
    const number = extra.round + 1;
    const format = parallel.exchange === 'f32' ? 'f32' : 'f16';
    const stamp = { terms: this.terms, round: number, partition: null };
    const shared = encodeExchange(this.weights, this.shapes, format, stamp);
    const sent = shared.reduce((sum, piece) => sum + piece.length, 0);
    const asked: Round = { terms: this.terms, round: number, epochs: o.epochs ?? null, states: extra.states };
    await partitions.files.write(weightsFile(number), shared);
    await partitions.files.write(roundFile(number), `${JSON.stringify(asked)}\n`);
    const onProgress = (back: number) => this.report('training', back / parallel.workers);
    onProgress(0);
    return partitions.train({ round: number, until, signal: o.signal, onProgress }, async (outcomes) => {
      const since = performance.now();
      const { answers, leftOut } = await this.gather(number, outcomes);
      if (answers.length === 0) {
        if (until !== undefined && Date.now() >= until - SPARE) return 'time';
        const why = leftOut.map(({ partition, reason }) => `${partition}: ${reason}`).join('; ');
        throw new InputError('unsupported', `round ${number}: no partition came back (${why})`);
      }
      for (const { partition, reason } of leftOut)
        o.log?.(`round ${number}: partition ${partition} of ${parallel.workers} is left out: ${reason}`);
      this.count(number, answers, {
        leftOut,
        sent: sent * answers.length,
        average: (performance.now() - since) / 1000,
        round: (performance.now() - started) / 1000,
      });
      return (['epochs', 'time'] as const).find((why) => answers.some(({ reason }) => reason === why)) ?? null;
    });
  }

  /** Reads the changes and takes the outer step. */
  private async gather(number: number, outcomes: readonly PartitionOutcome[]) {
    const leftOut: RoundRecord['leftOut'] = [];
    const answers: PartitionReport[] = [];
    const sum: Values = new Map([...this.weights].map(([name, { length }]) => [name, new Float32Array(length)]));
    for (const [partition, outcome] of outcomes.entries()) {
      try {
        if ('reason' in outcome) throw new InputError('unsupported', outcome.reason);
        const problem = reportCheck(outcome.answer, 'answer');
        if (problem !== null) throw new InputError('damaged-model', problem);
        const change = await this.readChange(number, partition);
        for (const [name, values] of change) {
          const all = sum.get(name) as Float32Array;
          for (let i = 0; i < all.length; i++) all[i] += values[i];
        }
        answers.push(outcome.answer as PartitionReport);
        this.extra.states[partition] = folderOf(number, partition);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        leftOut.push({ partition: partition + 1, reason: error.message });
      }
    }
    if (answers.length > 0) this.outerStep(sum, answers.length);
    return { answers, leftOut };
  }

  private async readChange(number: number, partition: number): Promise<Values> {
    const files = await this.partitions.folder(folderOf(number, partition));
    const path = `${files.where}/${CHANGE}`;
    const bytes = await files.read(CHANGE);
    if (!bytes) throw new InputError('not-found', `${path}: not there`);
    return decodeExchange(bytes, path, this.shapes, { terms: this.terms, round: number, partition });
  }

  /** @param sum of the changes of so many partitions */
  private outerStep(sum: ReadonlyMap<string, Float32Array>, count: number): void {
    const { rate, momentum } = this.parallel;
    for (const [name, weights] of this.weights) {
      const changes = sum.get(name) as Float32Array;
      const velocity = this.velocity.get(name) as Float32Array;
      for (let i = 0; i < weights.length; i++) {
        const change = changes[i] / count;
        velocity[i] = momentum * velocity[i] + change;
        weights[i] += rate * (change + momentum * velocity[i]);
      }
    }
  }

  private count(
    round: number,
    answers: readonly PartitionReport[],
    own: { leftOut: RoundRecord['leftOut']; sent: number; average: number; round: number },
  ): void {
    const { counters, extra, o } = this;
    const total = (of: (answer: PartitionReport) => number): number =>
      answers.reduce((sum, answer) => sum + of(answer), 0);
    const most = (of: (answer: PartitionReport) => number): number =>
      answers.reduce((max, answer) => Math.max(max, of(answer)), 0);
    const steps = most((answer) => answer.steps);
    const tokens = total((answer) => answer.tokens);
    if (this.average) moveAverage(this.average, this.weights, o.settings.ema ** steps);
    counters.step += steps;
    extra.round = round;
    extra.tokens += tokens;
    this.tokens += tokens;
    // In an epoch every position is a token once.
    counters.epoch = Math.floor(extra.tokens / Math.max(1, o.split.trainPositions()));
    const known = answers.filter(({ loss }) => loss !== null);
    if (known.length > 0) {
      const loss = known.reduce((sum, answer) => sum + (answer.loss as number), 0) / known.length;
      this.losses.push({ step: counters.step, loss });
      extra.recent = { sum: extra.recent.sum + loss, count: extra.recent.count + 1 };
    }
    const seconds = {
      round: own.round,
      steps: most((answer) => answer.seconds.steps),
      exchange: most((answer) => answer.seconds.exchange),
      start: most((answer) => answer.seconds.start),
      average: own.average,
    };
    this.overhead = seconds.round - seconds.steps;
    if (steps > 0) this.clock.tookStep((1000 * seconds.round) / steps, tokens / steps);
    const bytes = {
      weights: own.sent,
      changes: total((answer) => answer.bytes.change),
      states: total((answer) => answer.bytes.state),
    };
    this.records.push({ round, steps, tokens, bytes, seconds, leftOut: own.leftOut });
  }

  /** Validates the shared weights, or their average. @throws Stopped by the signal */
  private async validate(): Promise<void> {
    this.extra.validationDue = true;
    if (!this.clock.validates) return;
    try {
      const metrics = await this.measure();
      this.extra.validationDue = false;
      this.extra.validated = this.counters.step;
      if (metrics) await this.record(metrics);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      if (error.reason === 'interrupted') {
        await this.checkpoint();
        throw error;
      }
      this.clock.validates = false;
      return;
    }
    await this.checkpoint();
  }

  private async measure(): Promise<Metrics | null> {
    this.model.parameters.load('params', this.average ?? this.weights);
    this.model.touch();
    if (this.validator.users.length > 0) {
      const { metrics, blended } = await this.validator.validate((done) => this.report('validating', done));
      if (blended) this.gain.add(blended);
      this.extra.blend = this.gain.state;
      return metrics;
    }
    await this.keep(null);
    return null;
  }

  private async record(metrics: Metrics): Promise<void> {
    const { counters, extra, o } = this;
    const ndcg = metrics['NDCG@10'];
    const better = counters.bestNdcg === null || ndcg > counters.bestNdcg;
    if (better) {
      counters.bestNdcg = ndcg;
      counters.patience = 0;
      await this.keep(metrics);
    } else counters.patience++;
    const validation = { step: counters.step, epoch: counters.epoch, metrics };
    this.validations.push(validation);
    o.onValidation?.(validation);
    await appendMetrics(o.files, {
      step: counters.step,
      epoch: extra.tokens / Math.max(1, o.split.trainPositions()),
      loss: extra.recent.count > 0 ? extra.recent.sum / extra.recent.count : null,
      tokensPerSecond: Math.round(this.clock.tokensPerSecond),
      elapsedSeconds: Math.round(this.clock.elapsed),
      users: this.validator.users.length,
      valid: metrics,
      best: better,
    });
    extra.recent = { sum: 0, count: 0 };
  }

  /** These weights are the model. */
  private async keep(metrics: Metrics | null): Promise<void> {
    const { step, epoch } = this.counters;
    this.counters.bestStep = step;
    this.best = this.stored(copyOf(this.average ?? this.weights));
    await saveModel(this.o.files, this.best, { step, epoch, metrics });
  }

  /** The velocity is stored as the first moment; there is no second one. */
  private async checkpoint(): Promise<void> {
    this.report('saving');
    const started = performance.now();
    const zeros = new Map([...this.weights].map(([name, { length }]) => [name, new Float32Array(length)]));
    await saveCheckpoint(this.o.files, {
      params: this.stored(this.weights),
      m: this.stored(this.velocity),
      v: this.stored(zeros),
      ...(this.average && { average: this.stored(this.average) }),
      counters: { ...this.counters, elapsedSeconds: this.clock.elapsed, extra: this.extra },
    });
    await this.removeOld();
    this.clock.saveSeconds = (performance.now() - started) / 1000;
  }

  /** What no partition continues from any more. */
  private async removeOld(): Promise<void> {
    const { round, states } = this.extra;
    const { files } = this.partitions;
    await files.remove(weightsFile(round));
    await files.remove(roundFile(round));
    await this.partitions.keepOnly(states.filter((name) => name !== null));
  }

  private async restore(): Promise<boolean> {
    const { o } = this;
    const saved = o.resume ? await loadCheckpoint(o.files) : null;
    if (!saved) {
      this.weights = await this.model.parameters.read();
      this.velocity = new Map([...this.weights].map(([name, { length }]) => [name, new Float32Array(length)]));
      if (o.settings.ema > 0) this.average = copyOf(this.weights);
      return true;
    }
    this.counters = { ...saved.counters };
    this.clock.elapsedBefore = saved.counters.elapsedSeconds;
    if (saved.counters.finished && (o.epochs === undefined || saved.counters.epoch >= o.epochs)) return false;
    this.counters.finished = false;
    Object.assign(this.extra, saved.counters.extra);
    this.gain.state = this.extra.blend ?? this.gain.state;
    this.weights = copyOf(arraysOf(saved.params));
    this.velocity = copyOf(arraysOf(saved.m));
    if (o.settings.ema > 0) this.average = copyOf(arraysOf(saved.average ?? saved.params));
    await trimMetrics(o.files, saved.counters.step);
    return true;
  }

  private async finish(reason: TrainResult['reason']): Promise<TrainResult> {
    if (reason === 'finished before') return this.result(reason);
    this.counters.finished = reason === 'early-stopping' || reason === 'epochs';
    if (this.extra.validated !== this.counters.step) await this.validate();
    if (this.counters.finished) await this.checkpoint();
    return this.result(reason);
  }

  private result(reason: TrainResult['reason']): TrainResult {
    const { step, epoch, bestNdcg, bestStep } = this.counters;
    const { losses, validations, tokens, records: rounds } = this;
    const { seconds } = this.clock;
    return { reason, step, epoch, bestNdcg, bestStep, losses, validations, seconds, tokens, rounds };
  }

  private report(phase: TrainProgress['phase'], done: number | null = null): void {
    const { counters, clock, o, extra } = this;
    const all = (o.epochs ?? 0) * o.split.trainPositions();
    const fraction = Math.min(1, Math.max(all > 0 ? extra.tokens / all : 0, clock.fraction));
    o.onProgress?.({
      phase,
      done,
      step: counters.step,
      epoch: counters.epoch,
      steps: this.parallel.steps,
      fraction,
      loss: this.losses.at(-1)?.loss ?? null,
      tokensPerSecond: clock.tokensPerSecond,
      secondsLeft: o.epochs !== undefined || o.deadline !== undefined ? clock.secondsLeft(fraction) : null,
      bestNdcg: counters.bestNdcg,
    });
  }

  private stored(values: ReadonlyMap<string, Float32Array>): Tensors {
    return new Map([...values].map(([name, data]) => [name, { shape: [...(this.shapes.get(name) ?? [])], data }]));
  }

  dispose(): void {
    this.validator.dispose();
  }
}

const copyOf = (values: ReadonlyMap<string, Float32Array>): Values =>
  new Map([...values].map(([name, data]) => [name, data.slice()]));

const arraysOf = (tensors: Tensors): Values =>
  new Map([...tensors].map(([name, { data }]) => [name, data as Float32Array]));

/** average ← decay · average + (1 − decay) · weights */
function moveAverage(average: Values, weights: ReadonlyMap<string, Float32Array>, decay: number): void {
  for (const [name, of] of average) {
    const now = weights.get(name) as Float32Array;
    for (let i = 0; i < of.length; i++) of[i] = decay * of[i] + (1 - decay) * now[i];
  }
}
