/**
 * Training: packed batches through one recorded step, validation by full ranking, early stopping, checkpoints.
 *
 * The clock may stop a run but never steers it: validation and early stopping go by steps, and everything that varies
 * follows from (seed, epoch, batch, step), so that a run resumed from a checkpoint continues bit for bit.
 */
import type { Batch, Epoch } from '../../data/batching/batch.ts';
import { planEpoch } from '../../data/batching/batches.ts';
import { option } from '../../data/errors.ts';
import { inPieces } from '../../data/pieces.ts';
import { ColdSplit } from '../../data/splits/cold.ts';
import { AdamW, type Program, type Tensor } from '../../engine/index.ts';
import {
  type Counters,
  loadCheckpoint,
  newCounters,
  saveCheckpoint,
  saveModel,
  type Tensors,
} from '../../model/storage/checkpoint.ts';
import { appendMetrics, trimMetrics } from '../../model/storage/folder.ts';
import { touchedRows, windowsOf } from '../../model/recipes/derived.ts';
import { type ModelItems, SequenceModel, storedTensors, toArrays } from '../../model/encoders/sequence-model.ts';
import { LOSSES } from '../../model/heads/losses/index.ts';
import { countItems } from '../baselines/baselines.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { BlendGain } from './blend-gain.ts';
import { Feed, needsOf } from './feed.ts';
import { Negatives } from './negatives.ts';
import { StepLosses } from './losses.ts';
import {
  requirePrecision,
  type TrainOptions,
  type TrainProgress,
  type TrainResult,
  type Validation,
} from './options.ts';
import { horizonOf, learningRateAt } from './schedule.ts';
import { Stopped, TimeBudget } from './time-budget.ts';
import { TrainingClock } from './training-clock.ts';
import { Validator } from './validator.ts';

const BETAS = { beta1: 0.9, beta2: 0.98, eps: 1e-8 };
const CHECKPOINT_SECONDS = 30;
/** Steps between two reads of the losses on the device. */
const READ_EVERY = 8;

/**
 * Trains an encoder of its own into an existing folder (see `createFolder`) until early stopping, a limit, or the signal.
 * @throws Error that names the step and the tensor when the loss or a gradient is not finite; the weights are sound
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const model = createEncoder(options);
  try {
    return (await trainEncoder(model, options)).result;
  } finally {
    model.dispose();
  }
}

/** An encoder to be trained, with weights drawn from the seed. */
export function createEncoder({
  device,
  split,
  settings,
  seed,
  features = null,
  codes,
}: EncoderOptions): SequenceModel {
  return SequenceModel.create(device, settings, split.items, seed, {
    features,
    known: split instanceof ColdSplit ? split.warm : split.items,
    side: split.side?.encoder.rows,
    touched: touchedRows(settings, split.items),
    codes,
  });
}

type EncoderOptions = Pick<TrainOptions, 'device' | 'split' | 'settings' | 'seed' | 'features'> &
  Pick<ModelItems, 'codes'>;

/** As `train`, with an encoder that lives on. @returns the best weights of this run, too; null where it validated none */
export async function trainEncoder(
  model: SequenceModel,
  options: TrainOptions,
): Promise<{ result: TrainResult; best: Tensors | null }> {
  requirePrecision(options.device, options.settings);
  const trainer = new Trainer(model, options);
  try {
    const result = await trainer.run();
    return { result, best: trainer.best };
  } finally {
    trainer.dispose();
  }
}

class Trainer {
  /** The best weights of this run. */
  best: Tensors | null = null;
  private readonly o: TrainOptions;
  private readonly model: SequenceModel;
  private readonly optimizer: AdamW;
  private readonly feed: Feed;
  /** Adds a batch's gradients up and takes the step. */
  private readonly program: Program<Record<string, never>>;
  /** Only adds them up: what the other batches of a step run. */
  private readonly gather: Program<Record<string, never>>;
  private readonly validator: Validator;
  private readonly clock: TrainingClock;
  private counters: Counters;
  private readonly losses = new StepLosses();
  private readonly validations: Validation[] = [];
  private tokens = 0;
  private validateSteps = 0;
  /** The batches of this epoch, planned. */
  private epoch: Epoch | null = null;
  /** Of the learning rate's schedule, in steps. */
  private horizon: number | undefined;
  private lastCheckpoint = { at: 0, step: -1 };
  private compiled = false;
  private readonly gain = new BlendGain();
  /** Whether a validation at this step was interrupted, and is run when the training continues. */
  private validationDue = false;

  constructor(model: SequenceModel, o: TrainOptions) {
    this.o = o;
    this.model = model;
    this.clock = new TrainingClock(o.deadline);
    const { device, settings } = o;
    this.optimizer = new AdamW(this.model.parameters, {
      ...BETAS,
      weightDecay: settings.weightDecay,
      embeddingDecay: settings.embeddingDecay,
      tableRate: o.warm?.tableRate,
      averageDecay: settings.ema,
      rowRate: settings.tableRate,
      clip: settings.clip,
      onFailure: 'status', // it names the tensor itself
    });
    const { sampled } = LOSSES[settings.loss];
    this.feed = new Feed(
      device,
      settings.budget,
      needsOf(settings, o.split.side),
      sampled ? new Negatives(device, settings, countItems(o.split)) : null,
      this.model.touched,
    );
    this.program = device.program('training step', () => {
      this.optimizer.step(this.gradients());
      return {};
    });
    this.gather = device.program('gradients of a batch', () => {
      this.gradients();
      return {};
    });
    this.validator = new Validator(model, o, this.clock);
    this.counters = newCounters(o.seed);
  }

  /** Adds the batch's gradients to those of the step; its mean over the step's batches. Gives the batch's loss. */
  private gradients(): Tensor {
    const { device, settings } = this.o;
    const both = (): Tensor => {
      const loss = this.model.loss(this.feed.tensors, this.optimizer.rows());
      device.tape.backwardFrom(loss, () => device.full(loss.shape, 1 / settings.accumulate, 'grad of the loss'));
      return loss;
    };
    // The loss is a mean over about as many positions. Validation, outside of this, is in f32.
    const positions = settings.budget * settings.accumulate;
    return device.withPrecision(settings.precision, both, 2 ** Math.round(Math.log2(positions)));
  }

  async run(): Promise<TrainResult> {
    try {
      return await this.finish(await this.untilStopped());
    } catch (error) {
      if (!(error instanceof Stopped) || error.reason !== 'interrupted' || this.counters.step === 0) throw error;
      return this.finish('interrupted');
    }
  }

  private async untilStopped(): Promise<TrainResult['reason']> {
    const { o } = this;
    if (o.settings.ema > 0) await this.model.parameters.startAverage();
    if (o.resume && !(await this.restore())) return 'finished before';
    const { accumulate } = o.settings;
    this.epoch = await this.plan(0);
    const first = Math.ceil(this.epoch.count / accumulate);
    this.validateSteps = o.settings.validateSteps || Math.max(64, first);
    // A resumed run keeps its horizon.
    this.horizon ??= horizonOf(o.settings, o.epochs, first);
    if (this.counters.epoch > 0) this.epoch = await this.plan(this.counters.epoch);
    await this.validator.expect(() => this.report('compiling'));
    // The weights that it starts from count as its first, so that none that are worse take their place.
    this.validationDue ||= o.initialized === true || (o.warm !== undefined && o.warm !== null);
    if (this.validationDue && !(await this.validate())) return 'interrupted';
    if (o.resume && this.outOfPatience()) return 'early-stopping';
    if (o.resume && this.reachedEpochs()) return 'epochs';
    for (;;) {
      const waiting: Batch[] = [];
      for (const batch of this.epoch.batches(this.counters.batch)) {
        waiting.push(batch);
        // The last step of an epoch takes what is left.
        if (waiting.length < accumulate && this.counters.batch + waiting.length < this.epoch.count) continue;
        const stop = await this.step(waiting.splice(0));
        if (stop) return stop;
      }
      this.counters.epoch++;
      this.counters.batch = 0;
      if (this.reachedEpochs()) return 'epochs';
      this.epoch = await this.plan(this.counters.epoch);
    }
  }

  private plan(epoch: number): Promise<Epoch> {
    const { settings, seed, split, signal, warm } = this.o;
    const { sideDropout } = settings;
    const options = { ...windowsOf(settings), sideDropout, seed, epoch, replay: warm?.replay };
    const time = new TimeBudget(undefined, signal);
    return inPieces(planEpoch(split, options), () => time.pause(() => this.report('batching')));
  }

  private outOfPatience(): boolean {
    return this.gain.endsTraining(this.counters.patience, this.o);
  }

  private reachedEpochs(): boolean {
    return this.o.epochs !== undefined && this.counters.epoch >= this.o.epochs;
  }

  /** Puts a batch and what else varies where the step reads it. @param part which of the step's batches it is */
  private prepare(batch: Batch, step: number, epoch: number, number: number, part: number): void {
    const { seed, settings, frozenEpochs = 0 } = this.o;
    this.feed.stage(batch, { seed, epoch, batch: number });
    this.feed.upload();
    const learningRate = learningRateAt(settings, step, this.horizon ?? 0);
    this.optimizer.prepare({ seed, step, learningRate, dropout: true, part, frozen: epoch < frozenEpochs });
  }

  /** One step on one batch or several, and what is due after it. Gives the reason to stop, if there is one. */
  private async step(parts: readonly Batch[]): Promise<TrainResult['reason'] | null> {
    const { counters, o } = this;
    if (!this.compiled) this.report('compiling');
    const started = performance.now();
    for (const [i, batch] of parts.entries()) {
      const program = i + 1 < parts.length ? this.gather : this.program;
      this.prepare(batch, counters.step + 1, counters.epoch, counters.batch + i, i);
      if (!this.compiled) {
        await program.compile((done, total) => this.report('compiling', done / total));
        if (o.signal?.aborted) throw new Stopped('interrupted');
      }
      program.run();
      if (this.compiled) await program.pace();
      if (i + 1 === parts.length) break;
      // Gradients of a part of a step are let go; the step is taken again when the training continues.
      if (this.compiled && o.signal?.aborted) return 'interrupted';
      this.report(this.compiled ? 'training' : 'compiling');
    }
    const tokens = parts.reduce((sum, batch) => sum + batch.tokens, 0);
    counters.step++;
    counters.batch += parts.length;
    this.tokens += tokens;
    if (this.compiled) {
      this.clock.tookStep(performance.now() - started, tokens);
    } else {
      await o.device.settle();
      this.compiled = true;
      counters.variants = o.device.gpu?.variants.save() ?? {};
      await this.readLosses();
      await this.checkpoint();
    }
    if (counters.step % READ_EVERY === 0) await this.readLosses();
    if (counters.step % this.validateSteps === 0 && this.validator.users.length > 0) {
      if (!(await this.validate())) return 'interrupted';
      if (this.outOfPatience()) return 'early-stopping';
    }
    if (o.signal?.aborted) return 'interrupted';
    if (counters.step === o.lastStep) return 'steps';
    if (this.clock.isUp) return 'time';
    if (performance.now() - this.lastCheckpoint.at > CHECKPOINT_SECONDS * 1000) {
      await this.readLosses();
      await this.checkpoint();
    }
    this.report('training');
    return null;
  }

  /** Reads the losses since the last read; throws if a step was not finite. */
  private async readLosses(): Promise<void> {
    await this.settle();
    const failed = await this.losses.read(this.optimizer, this.counters.step);
    if (failed !== 0) await this.explainNonFinite(failed);
  }

  /** Runs the failed step again, eagerly, and names the first tensor that is not finite. The weights are those before it. */
  private async explainNonFinite(step: number): Promise<never> {
    const { counters, o } = this;
    const { accumulate } = o.settings;
    const at = (Math.ceil(counters.batch / accumulate) - 1 - (counters.step - step)) * accumulate;
    let where = 'a batch of an earlier epoch; it could not be run again';
    if (at >= 0) {
      where = 'the norm of the gradient';
      let part = 0;
      for (const batch of this.epoch?.batches(at) ?? []) {
        this.prepare(batch, step, counters.epoch, at + part, part);
        const name = await o.device.firstNonFinite(() => this.gradients());
        if (name) where = name;
        if (name || ++part === accumulate) break;
      }
    }
    throw new Error(
      `training: step ${step} is not finite; the first such tensor is ${where}. Weights and checkpoint are from before it; try a lower learning rate (${option('settings.learningRate', o.settings.learningRate / 3)})`,
    );
  }

  /** Waits for the steps in flight. */
  private async settle(): Promise<void> {
    await this.gather.settle();
    await this.program.settle();
  }

  /**
   * Validates, and saves, the weights or their moving average where there is one. Where the time does not suffice it is due
   * when the training continues.
   * @returns false if interrupted
   */
  private async validate(): Promise<boolean> {
    await this.readLosses();
    this.validationDue = true;
    if (!this.clock.validates) return true;
    try {
      await this.optimizer.showing(this.o.settings.ema > 0, () => this.validateWeights());
      this.validationDue = false;
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      if (error.reason === 'interrupted') return false;
      this.clock.validates = false;
      return true;
    }
    await this.checkpoint();
    return true;
  }

  private async validateWeights(): Promise<void> {
    const { counters, o } = this;
    if (this.validator.users.length === 0) return this.keep(null);
    const { metrics, blended } = await this.validator.validate((done) => this.report('validating', done));
    if (blended) this.gain.add(blended);
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
      epoch: counters.epoch + counters.batch / Math.max(1, this.batchesInEpoch),
      loss: this.losses.mean,
      tokensPerSecond: Math.round(this.clock.tokensPerSecond),
      elapsedSeconds: Math.round(this.clock.elapsed),
      users: this.validator.users.length,
      valid: metrics,
      best: better,
    });
    this.losses.recent = { sum: 0, count: 0 };
  }

  /** These weights are the model. @param metrics null where no user is validated on: the last weights are kept then */
  private async keep(metrics: Metrics | null): Promise<void> {
    const { step, epoch } = this.counters;
    this.counters.bestStep = step;
    this.best = await storedTensors(this.model, 'params');
    await saveModel(this.o.files, this.best, { step, epoch, metrics });
  }

  private async checkpoint(): Promise<void> {
    this.report('saving');
    const started = performance.now();
    const counters = {
      ...this.counters,
      elapsedSeconds: this.clock.elapsed,
      extra: {
        recent: this.losses.recent,
        horizon: this.horizon,
        blend: this.gain.state,
        ...(this.validationDue && { validationDue: true }),
      },
    };
    const [params, m, v] = [
      await storedTensors(this.model, 'params'),
      await storedTensors(this.model, 'm'),
      await storedTensors(this.model, 'v'),
    ];
    const average = this.o.settings.ema > 0 ? await storedTensors(this.model, 'average') : undefined;
    const rows = await this.model.parameters.rowTables[0]?.progress();
    await saveCheckpoint(this.o.files, { params, m, v, average, rows, counters });
    this.lastCheckpoint = { at: performance.now(), step: counters.step };
    this.clock.saveSeconds = (this.lastCheckpoint.at - started) / 1000;
  }

  /** Loads the checkpoint; false if that run had finished and no limit asks for more. */
  private async restore(): Promise<boolean> {
    const { o } = this;
    const saved = await loadCheckpoint(o.files);
    if (!saved) return true; // stopped before its first step: start again
    this.counters = { ...saved.counters };
    this.losses.readUpTo = saved.counters.step;
    this.optimizer.continueFrom(saved.counters.step);
    this.clock.elapsedBefore = saved.counters.elapsedSeconds;
    if (saved.counters.finished && (o.epochs === undefined || saved.counters.epoch >= o.epochs)) return false;
    this.counters.finished = false;
    const { losses } = this;
    losses.recent = (saved.counters.extra?.recent as typeof losses.recent | undefined) ?? losses.recent;
    this.horizon = saved.counters.extra?.horizon as number | undefined;
    this.validationDue = saved.counters.extra?.validationDue === true;
    this.gain.state = (saved.counters.extra?.blend as BlendGain['state'] | undefined) ?? this.gain.state;
    for (const [kind, tensors] of [
      ['params', saved.params],
      ['m', saved.m],
      ['v', saved.v],
    ] as const) {
      this.model.parameters.load(kind, toArrays(tensors));
    }
    if (o.settings.ema > 0) this.model.parameters.load('average', toArrays(saved.average ?? saved.params));
    this.model.parameters.rowTables[0]?.load(saved.rows ?? null, saved.counters.step);
    o.device.gpu?.variants.resume(saved.counters.variants);
    await trimMetrics(o.files, saved.counters.step);
    return true;
  }

  private async finish(reason: TrainResult['reason']): Promise<TrainResult> {
    if (reason === 'finished before') return this.result(reason);
    const { counters } = this;
    await this.readLosses();
    if (this.o.lastStep !== undefined) this.optimizer.catchUp();
    const validated = this.validations.at(-1)?.step === counters.step;
    counters.finished = reason === 'early-stopping' || reason === 'epochs';
    if (reason !== 'interrupted' && !validated && !(await this.validate())) return this.finish('interrupted');
    const saved = this.lastCheckpoint.step === counters.step && !this.validationDue;
    if (!saved || (validated && counters.finished)) await this.checkpoint();
    // What reads the weights from here on finds them up to date; a training that continues does so from the checkpoint.
    this.optimizer.catchUp();
    return this.result(reason);
  }

  private result(reason: TrainResult['reason']): TrainResult {
    const { step, epoch, bestNdcg, bestStep } = this.counters;
    const { validations, tokens } = this;
    const losses = this.losses.all;
    const { seconds } = this.clock;
    return { reason, step, epoch, bestNdcg, bestStep, losses, validations, seconds, tokens };
  }

  private get batchesInEpoch(): number {
    return this.epoch?.count ?? 0;
  }

  private report(phase: TrainProgress['phase'], done: number | null = null): void {
    const { counters, o } = this;
    const inEpoch = this.batchesInEpoch > 0 ? counters.batch / this.batchesInEpoch : 0;
    const byEpochs = o.epochs === undefined ? 0 : (counters.epoch + inEpoch) / o.epochs;
    const byPatience = o.epochs === undefined && o.deadline === undefined ? counters.patience / o.settings.patience : 0;
    const fraction = Math.min(1, Math.max(byEpochs, this.clock.fraction, byPatience));
    const known = o.epochs !== undefined || o.deadline !== undefined;
    o.onProgress?.({
      phase,
      done,
      step: counters.step,
      epoch: counters.epoch,
      steps: Math.ceil(this.batchesInEpoch / o.settings.accumulate),
      fraction,
      loss: this.losses.last,
      tokensPerSecond: this.clock.tokensPerSecond,
      secondsLeft: known ? this.clock.secondsLeft(fraction) : null,
      bestNdcg: counters.bestNdcg,
    });
  }

  dispose(): void {
    this.validator.dispose();
    this.program.dispose();
    this.gather.dispose();
    this.feed.dispose();
    this.optimizer.dispose();
  }
}
