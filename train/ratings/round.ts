/** One round: learns from its training ratings and predicts the tested ones. */
import { option } from '../../data/errors.ts';
import { inSeconds } from '../../data/formats/times.ts';
import type { Fold } from '../../data/splits/folds.ts';
import type { Ratings } from '../../data/ratings/ratings.ts';
import { seeded } from '../../data/random.ts';
import type { RatingFeatures } from '../../data/ratings/side-features.ts';
import { packWindows, type RowsByUser, testWindows, trainingWindows } from '../../data/ratings/windows.ts';
import { AdamW, type Device, LOSS_RING, type Program } from '../../engine/index.ts';
import { RatingBatch, type RatingEvents } from '../../model/ratings/batch.ts';
import { RatingModel, ratingShapeOf } from '../../model/ratings/model.ts';
import { meanOf, medianOf, RatingScorer } from '../../model/ratings/scorer.ts';
import type { RatingSettings } from '../../model/ratings/settings.ts';
import { TimeBudget } from '../loop/time-budget.ts';
import { type RatingBaseline, fitBaseline } from './baseline.ts';

export interface RoundOptions {
  device: Device;
  ratings: Ratings;
  rows: Fold;
  settings: RatingSettings;
  /** Side features; items alone by default. */
  features?: RatingFeatures | null;
  seed: number;
  /** Whether the last ratings are what is predicted. */
  tail: boolean;
  /** At its deadline the predictions must be there. */
  budget?: TimeBudget;
  onProgress?(progress: RoundProgress): void;
}

export interface RoundProgress {
  phase: 'recording' | 'baseline' | 'compiling' | 'training' | 'predicting';
  /** 0 to 1, of this phase where that is known. */
  done: number | null;
  /** 0 to 1, of the round. */
  fraction: number;
  epoch: number;
  loss: number | null;
}

/** Predictions of the tested rows, in the order of `rows.test`. */
export interface RoundPredictions {
  mean: Float32Array;
  median: Float32Array;
  /** Of the factors alone, and of biases alone. */
  factors: Float32Array;
  biases: Float32Array;
}

export interface RoundResult {
  /** All epochs, or as many as there was time for. */
  reason: 'epochs' | 'time';
  epochs: number;
  steps: number;
  predictions: RoundPredictions;
  model: RatingModel;
  baseline: RatingBaseline;
  events: RatingEvents;
}

/** Share of the round's work that the baseline counts for, in the progress shown, and of its time that it may take. */
const BASELINE_SHARE = 0.25;
const BASELINE_MOST = 0.5;
/** How far, as a share of it, the baseline may fall behind before it hurries. */
const BASELINE_SLACK = 0.1;
const BETAS = { beta1: 0.9, beta2: 0.98, eps: 1e-8 };
const READ_EVERY = 16;
/** Turns the seed into that of what is hidden; the stream is the step. */
const HIDDEN = 0x51de;

/** The model is the caller's to dispose. @throws Stopped when it was interrupted */
export async function trainRound(options: RoundOptions): Promise<RoundResult> {
  const o = { ...options, budget: options.budget ?? new TimeBudget() };
  const { device, ratings, settings, rows } = o;
  const baseline = await learnBaseline(o);
  const events = eventsOf(ratings, rows.train, baseline, o.features ?? null);
  const shape = ratingShapeOf(o.features?.side.encoder ?? null, ratings.itemIds.length, ratings.levels.length);
  const model = new RatingModel(device, settings, shape, o.seed);
  try {
    const trained = await learn(o, model, events);
    const predictions = await predict(o, model, baseline, events);
    return { ...trained, predictions, model, baseline, events };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

type Round = Required<Pick<RoundOptions, 'budget'>> & RoundOptions;

async function learnBaseline(o: Round): Promise<RatingBaseline> {
  const { settings, ratings, rows, seed, features } = o;
  const { deadline } = o.budget;
  const started = performance.now();
  const cold = Boolean(features?.side.encoder.schema.items);
  const work = fitBaseline(ratings, rows.train, rows.test, { ...settings, seed, cold, known: features });
  const time = o.budget.untilStopped();
  let hurry = false;
  for (;;) {
    const { done, value } = work.next(hurry);
    if (done) return value;
    await time.pause(() => {
      const spent = performance.now() - started;
      // Where it has fallen behind, the fit at hand ends with its sweep.
      hurry = deadline !== undefined && spent > (value + BASELINE_SLACK) * BASELINE_MOST * (deadline - started);
      o.onProgress?.({ phase: 'baseline', done: null, fraction: value * BASELINE_SHARE, epoch: 0, loss: null });
    });
  }
}

function eventsOf(
  ratings: Ratings,
  train: Uint32Array,
  baseline: RatingBaseline,
  features: RatingFeatures | null,
): RatingEvents {
  const { factors, base, spread, cold, coldSpread } = baseline;
  const { mean, std } = factors;
  const itemCounts = new Uint32Array(ratings.itemIds.length);
  for (const row of train) itemCounts[ratings.item[row]]++;
  return {
    item: ratings.item,
    level: ratings.level,
    value: ratings.value.map((v) => (v - mean) / std),
    base,
    time: ratings.time && inSeconds(ratings.time, ratings.timeUnit),
    itemCounts,
    levels: ratings.levels.map((v) => (v - mean) / std),
    spread,
    side: features?.side ?? null,
    user: ratings.user,
    cold: cold && { base: cold, spread: coldSpread },
  };
}

/** The rows of a part, by user and in time order. */
function subset(ratings: Ratings, part: Uint32Array): RowsByUser {
  const marked = new Uint8Array(ratings.size);
  for (const row of part) marked[row] = 1;
  const order = ratings.order.filter((row) => marked[row]);
  const starts = new Uint32Array(ratings.userIds.length + 1);
  for (const row of part) starts[ratings.user[row] + 1]++;
  for (let u = 0; u + 1 < starts.length; u++) starts[u + 1] += starts[u];
  return { order, starts };
}

type Trained = Pick<RoundResult, 'reason' | 'epochs' | 'steps'>;

async function learn(o: Round, model: RatingModel, events: RatingEvents): Promise<Trained> {
  const { device, settings, seed } = o;
  const { deadline } = o.budget;
  const time = o.budget.untilStopped();
  const { window, share, budget, epochs, warmup, weightDecay, clip, idDropout, sideDropout } = settings;
  const rows = subset(o.ratings, o.rows.train);
  const most = events.side?.maxEntries ?? 0;
  const batch = new RatingBatch(device, budget, Math.max(32, Math.ceil(budget / 2)), model.shape, most, true);
  const optimizer = new AdamW(model.parameters, {
    ...BETAS,
    weightDecay,
    embeddingDecay: weightDecay,
    clip,
    onFailure: 'status',
  });
  const program: Program<Record<string, never>> = device.program('training step', () => {
    const loss = model.loss(batch.tensors);
    device.tape.backwardFrom(loss, () => device.full(loss.shape, 1, 'grad of the loss'));
    optimizer.step(loss);
    return {};
  });
  const reserve = predictionBatches(o);
  let step = 0;
  let loss: number | null = null;
  let horizon = 0;
  const report = (phase: RoundProgress['phase'], epoch: number, within: number, done: number | null = null) =>
    o.onProgress?.({
      phase,
      done,
      epoch,
      loss,
      fraction: BASELINE_SHARE + ((1 - BASELINE_SHARE) * (epoch + within)) / epochs,
    });
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      const windows = trainingWindows(rows, { window, share, tail: o.tail ? 0.5 : 0, seed, epoch });
      const batches = [...packWindows(windows, batch.known, batch.targets)];
      horizon ||= batches.length * epochs;
      for (const [i, packed] of batches.entries()) {
        if (step === 0) report('compiling', 0, 0);
        step++;
        batch.stage(packed, events, { random: seeded(seed ^ HIDDEN, step), idDropout, sideDropout });
        batch.upload();
        optimizer.prepare({
          seed,
          step,
          learningRate: rateAt(settings.learningRate, step, warmup, horizon),
          dropout: true,
        });
        if (step === 1) await program.compile((done, total) => report('compiling', 0, 0, done / total));
        program.run();
        await program.pace();
        if (step % READ_EVERY === 0 || step === 1) loss = await readLoss(optimizer, step, program);
        time.check();
        const needed = (reserve * program.milliseconds) / 2 + 2 * program.milliseconds + 1000;
        if (deadline !== undefined && step > 1 && performance.now() + needed > deadline) {
          await readLoss(optimizer, step, program);
          return { reason: 'time', epochs: epoch + (i + 1) / batches.length, steps: step };
        }
        report('training', epoch, (i + 1) / batches.length);
      }
    }
    await readLoss(optimizer, step, program);
    return { reason: 'epochs', epochs, steps: step };
  } finally {
    program.dispose();
    optimizer.dispose();
    batch.dispose();
  }
}

/** Rises linearly over `warmup` steps, then falls by a half cosine to a fiftieth. */
function rateAt(rate: number, step: number, warmup: number, horizon: number): number {
  const done = Math.min(1, step / Math.max(1, horizon));
  return rate * Math.min(1, step / Math.max(1, warmup)) * Math.max(0.02, (1 + Math.cos(Math.PI * done)) / 2);
}

/** @throws Error when a loss or a gradient was not finite; the weights are those before that step */
async function readLoss(optimizer: AdamW, step: number, program: Program<Record<string, never>>): Promise<number> {
  await program.settle();
  const [status, losses] = [await optimizer.status.data(), await optimizer.losses.data()];
  if (status[0] !== 0)
    throw new Error(
      `training: the loss or a gradient of step ${status[0]} is not finite; try a lower ${option('settings.learningRate')}`,
    );
  return losses[step % LOSS_RING];
}

function testedRows({ ratings, rows }: RoundOptions): Uint8Array {
  const tested = new Uint8Array(ratings.size).fill(2);
  for (const row of rows.train) tested[row] = 0;
  for (const row of rows.test) tested[row] = 1;
  return tested;
}

function predictionBatches(o: RoundOptions): number {
  return Math.ceil((o.rows.train.length + 2 * o.rows.test.length) / (2 * o.settings.budget));
}

async function predict(
  o: Round,
  model: RatingModel,
  baseline: RatingBaseline,
  events: RatingEvents,
): Promise<RoundPredictions> {
  const { ratings, rows, settings } = o;
  const { factors, base, biases } = baseline;
  const { levels } = ratings;
  const [low, high] = [levels[0], levels[levels.length - 1]];
  const within = (v: number) => Math.min(high, Math.max(low, v));
  const positions = new Map(Array.from(rows.test, (row, i) => [row, i]));
  const out: RoundPredictions = {
    mean: new Float32Array(rows.test.length),
    median: new Float32Array(rows.test.length),
    factors: Float32Array.from(rows.test, (row) => within(factors.mean + factors.std * base[row])),
    biases: Float32Array.from(rows.test, (row) => within(biases[row])),
  };
  if (rows.test.length === 0) return out;
  const scorer = new RatingScorer(model);
  try {
    const windows = testWindows(ratings, testedRows(o), settings.window);
    const report = () =>
      o.onProgress?.({ phase: 'predicting', done: null, fraction: 1, epoch: settings.epochs, loss: null });
    report();
    const time = o.budget.untilStopped();
    const each = (row: number, probabilities: Float32Array): void => {
      const i = positions.get(row) as number;
      out.mean[i] = meanOf(probabilities, levels);
      out.median[i] = medianOf(probabilities, levels);
    };
    await scorer.score(windows, events, each, () => time.pause(report));
  } finally {
    scorer.dispose();
  }
  return out;
}
