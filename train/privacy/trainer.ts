/**
 * Private training: DP-SGD (Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1) with users for
 * examples (McMahan et al., "Learning Differentially Private Recurrent Language Models", 2018). A step
 *
 *   draws each of the N users with probability q
 *   takes each one's gradient g_u of one window of its history, and clips it:  ḡ_u = g_u · min(1, C / ‖g_u‖)
 *   has AdamW take   ( Σ ḡ_u + N(0, σ²C²) ) / (q N)
 *
 * with ‖·‖ over all weights. N and q N are fixed: how many were drawn stays unknown. The sum starts as the noise, which the
 * host writes, and users are added one after another on the device, where their norm is taken. Nothing else is read of the
 * log: no validation chooses weights, and losses are not kept. What follows of the sums (moments, schedule, moving average)
 * costs nothing more.
 */
import { userBatches } from '../../data/batching/batches.ts';
import type { Batch } from '../../data/batching/batch.ts';
import { option } from '../../data/errors.ts';
import {
  adamwStatus,
  adamwStep,
  type Program,
  sgdStep,
  STATUS,
  type Tensor,
  threefry2x32,
} from '../../engine/index.ts';
import { type SequenceModel, storedTensors, toArrays } from '../../model/encoders/sequence-model.ts';
import { LOSSES } from '../../model/heads/losses/index.ts';
import { touchedRows, windowsOf } from '../../model/recipes/derived.ts';
import {
  type Counters,
  loadCheckpoint,
  newCounters,
  saveCheckpoint,
  saveModel,
  type Tensors,
} from '../../model/storage/checkpoint.ts';
import type { Privacy } from '../../model/storage/config.ts';
import { Feed, needsOf } from '../loop/feed.ts';
import { Negatives } from '../loop/negatives.ts';
import type { TrainOptions, TrainResult } from '../loop/options.ts';
import { learningRateAt } from '../loop/schedule.ts';
import { TrainingClock } from '../loop/training-clock.ts';
import { fillNormal, repeatableUniform, secretUniform } from './noise.ts';

const BETAS = { beta1: 0.9, beta2: 0.98, eps: 1e-8 };
const NO_BETAS = { beta1: 0, beta2: 0 };
const CHECKPOINT_SECONDS = 30;
/** Users that run before one is waited for. */
const IN_FLIGHT = 8;
/** Of C, what the device clips to: its norm is a sum in f32, whose rounding must not exceed C. */
const ROUNDING = 1 - 2 ** -14;
/** Stream of the seed that keeps users' dropout masks apart. */
const USERS = 0x7ffffffd;

/** As `trainEncoder` of train/loop/trainer.ts, privately. */
export async function trainPrivately(
  model: SequenceModel,
  options: TrainOptions,
  privacy: Privacy,
): Promise<{ result: TrainResult; best: Tensors | null }> {
  const trainer = new PrivateTrainer(model, options, privacy);
  try {
    const result = await trainer.run();
    return { result, best: trainer.best };
  } finally {
    trainer.dispose();
  }
}

class PrivateTrainer {
  best: Tensors | null = null;
  private readonly model: SequenceModel;
  private readonly o: TrainOptions;
  private readonly privacy: Privacy;
  private readonly feed: Feed;
  private readonly clock: TrainingClock;
  /** Users who have something to learn from. */
  private readonly users: readonly number[];
  /** The noisy sum of the users' gradients, for each arena of the parameters; and the noise on the host. */
  private readonly sums: readonly Tensor[];
  private readonly noise: readonly Float32Array[];
  /** Status words of adding users up, and of the step. */
  private readonly added: Tensor;
  private readonly stepped: Tensor;
  /** Adds a user's clipped gradient to the sum. */
  private readonly add: Program<Record<string, never>>;
  /** AdamW's step by the sum. */
  private readonly step: Program<Record<string, never>>;
  private counters: Counters;
  private tokens = 0;
  private compiled = false;
  private savedAt = 0;

  constructor(model: SequenceModel, o: TrainOptions, privacy: Privacy) {
    const { device, settings, split } = o;
    if (touchedRows(settings, split.items) !== undefined)
      throw new Error('private training: expected a dense item table, got one that is trained by row');
    this.model = model;
    this.o = o;
    this.privacy = privacy;
    this.clock = new TrainingClock(o.deadline);
    this.counters = newCounters(o.seed);
    this.users = Array.from({ length: split.users }, (_, u) => u).filter((u) => split.trainLength(u) >= 2);
    const { sampled } = LOSSES[settings.loss];
    // Negatives are drawn uniformly: counts would tell of the log.
    const negatives = sampled ? new Negatives(device, settings, new Uint32Array(split.items)) : null;
    this.feed = new Feed(device, settings.budget, needsOf(settings), negatives);
    const { shards } = model.parameters;
    this.sums = shards.map(({ params }) => device.zeros([params.size], 'sum of gradients').keep());
    this.noise = shards.map(({ params }) => new Float32Array(params.size));
    this.added = device.tensor(adamwStatus(NO_BETAS), undefined, { label: 'status of the sum' }).keep();
    this.stepped = device.tensor(adamwStatus(BETAS), undefined, { label: 'status of the step' }).keep();
    const clip = privacy.clip * ROUNDING;
    this.add = device.program("a user's gradient", () => {
      model.loss(this.feed.tensors).backward();
      // A step of SGD on the sum, whose learning rate of −1 / (q N) adds what the gradient is clipped to.
      const sums = shards.map(({ grads, padding }, i) => ({ params: this.sums[i], grads, padding, decayEnd: 0 }));
      sgdStep({ shards: sums }, { clip, momentum: 0, nesterov: false, weightDecay: 0, status: this.added });
      return {};
    });
    this.step = device.program('private step', () => {
      const noisy = shards.map((shard, i) => ({ ...shard, grads: this.sums[i] }));
      const { weightDecay, embeddingDecay, ema } = settings;
      const decay = { weightDecay, embeddingDecay, averageDecay: ema };
      adamwStep({ shards: noisy }, { ...BETAS, ...decay, clip: 0, status: this.stepped });
      return {};
    });
  }

  async run(): Promise<TrainResult> {
    const { o, privacy } = this;
    if (o.settings.ema > 0) await this.model.parameters.startAverage();
    if (o.resume && !(await this.restore())) return this.result('finished before');
    while (this.counters.step < privacy.steps) {
      const started = performance.now();
      const before = this.tokens;
      if (!(await this.takeStep())) return this.finish('interrupted');
      this.clock.tookStep(performance.now() - started, this.tokens - before);
      if (o.signal?.aborted) return this.finish('interrupted');
      if (this.clock.isUp && this.counters.step < privacy.steps) return this.finish('time');
      if (performance.now() - this.savedAt > CHECKPOINT_SECONDS * 1000) await this.checkpoint();
    }
    return this.finish('steps');
  }

  /** @returns false where the signal ended it: the sum is let go, and nothing was learned of it */
  private async takeStep(): Promise<boolean> {
    const { o, privacy, counters, users } = this;
    const { device, split, settings, seed } = o;
    const number = counters.step + 1;
    const { rate, noiseSeed, clip, noise } = privacy;
    const uniform = noiseSeed === undefined ? secretUniform() : repeatableUniform(noiseSeed, number);
    const drawn = users.filter(() => uniform() < rate);
    const expected = rate * users.length;
    for (const [i, values] of this.noise.entries()) {
      fillNormal(values, (noise * clip) / expected, uniform);
      device.write(this.sums[i], values);
    }
    const batches = userBatches(split, drawn, { ...windowsOf(settings), seed, epoch: number });
    let done = 0;
    for (const batch of batches) {
      const [masks] = threefry2x32(seed, USERS, number, done);
      await this.addUser(batch, { seed: masks, step: number, learningRate: -1 / expected, training: true }, done);
      this.report(++done / drawn.length);
      if (o.signal?.aborted) return false;
    }
    const learningRate = learningRateAt(settings, number, privacy.steps);
    device.steps.change({ seed, step: number, learningRate, training: true });
    this.step.run();
    await this.step.pace();
    counters.step = number;
    counters.epoch = Math.floor(number * rate);
    return true;
  }

  private async addUser(batch: Batch, state: Parameters<TrainOptions['device']['steps']['change']>[0], number: number) {
    const { feed, add, o } = this;
    feed.stage(batch, { seed: o.seed, epoch: this.counters.step + 1, batch: number });
    feed.upload();
    o.device.steps.change(state);
    if (!this.compiled) {
      await add.compile((done, total) => this.report(done / total, 'compiling'));
      await this.step.compile();
    }
    this.compiled = true;
    add.run();
    // Users are short: a wait for each would take as long as they do.
    if ((number + 1) % IN_FLIGHT === 0) await add.pace();
    this.tokens += batch.tokens;
  }

  /** @throws Error where a gradient was not finite: the weights are those before it */
  private async requireFinite(): Promise<void> {
    await this.add.settle();
    await this.step.settle();
    const failed = (await this.added.data())[STATUS.FAILED] || (await this.stepped.data())[STATUS.FAILED];
    if (failed === 0) return;
    throw new Error(
      `private training: a gradient is not finite, at step ${this.counters.step} or before; try a lower learning rate (${option('settings.learningRate', this.o.settings.learningRate / 3)})`,
    );
  }

  private async checkpoint(): Promise<void> {
    await this.requireFinite();
    this.report(null, 'saving');
    const started = performance.now();
    const stored = (kind: 'params' | 'm' | 'v' | 'average') => storedTensors(this.model, kind);
    const [params, m, v] = [await stored('params'), await stored('m'), await stored('v')];
    const average = this.o.settings.ema > 0 ? await stored('average') : undefined;
    const counters = { ...this.counters, elapsedSeconds: this.clock.elapsed };
    await saveCheckpoint(this.o.files, { params, m, v, average, counters });
    this.savedAt = performance.now();
    this.clock.saveSeconds = (this.savedAt - started) / 1000;
  }

  /** Loads the checkpoint; false where all steps were taken. */
  private async restore(): Promise<boolean> {
    const { o, model } = this;
    const saved = await loadCheckpoint(o.files);
    if (!saved) return true; // stopped before its first step: start again
    this.counters = { ...saved.counters };
    if (saved.counters.step >= this.privacy.steps) return false;
    this.clock.elapsedBefore = saved.counters.elapsedSeconds;
    model.parameters.load('params', toArrays(saved.params));
    model.parameters.load('m', toArrays(saved.m));
    model.parameters.load('v', toArrays(saved.v));
    if (o.settings.ema > 0) model.parameters.load('average', toArrays(saved.average ?? saved.params));
    o.device.write(this.stepped, adamwStatus(BETAS, saved.counters.step));
    return true;
  }

  private async finish(reason: 'steps' | 'time' | 'interrupted'): Promise<TrainResult> {
    const { counters, o, model } = this;
    counters.finished = reason === 'steps';
    if (counters.step > 0) {
      if (reason !== 'interrupted') {
        await this.requireFinite();
        this.best = await storedTensors(model, o.settings.ema > 0 ? 'average' : 'params');
        counters.bestStep = counters.step;
        await saveModel(o.files, this.best, { step: counters.step, epoch: counters.epoch, metrics: null });
      }
      await this.checkpoint();
    }
    return this.result(reason);
  }

  private result(reason: TrainResult['reason']): TrainResult {
    const { step, epoch, bestStep } = this.counters;
    const { tokens } = this;
    const { seconds } = this.clock;
    return { reason, step, epoch, bestNdcg: null, bestStep, losses: [], validations: [], seconds, tokens };
  }

  /** @param done of the step */
  private report(done: number | null, phase: 'training' | 'compiling' | 'saving' = 'training'): void {
    const { counters, privacy, clock } = this;
    const within = phase === 'training' ? (done ?? 0) : 0;
    const fraction = Math.min(1, Math.max((counters.step + within) / privacy.steps, clock.fraction));
    this.o.onProgress?.({
      phase,
      done: phase === 'compiling' ? done : null,
      step: counters.step,
      epoch: counters.epoch,
      steps: Math.ceil(1 / privacy.rate),
      fraction,
      loss: null,
      tokensPerSecond: clock.tokensPerSecond,
      secondsLeft: clock.secondsLeft(fraction),
      bestNdcg: null,
    });
  }

  dispose(): void {
    this.add.dispose();
    this.step.dispose();
    this.feed.dispose();
    for (const t of [...this.sums, this.added, this.stepped]) t.dispose();
  }
}
