/**
 * Trains the ranker on top of an encoder that stays as it is. Each step has two programs: the encoder reads a packed batch
 * of training windows and says which items it ranks best after some of the positions; the host draws hard negatives from
 * those; the ranker then takes a step. Validated by NDCG@10 of both stages together, with the weight fitted each time.
 */
import { option } from '../../data/errors.ts';
import { planEpoch } from '../../data/batching/batches.ts';
import { inPieces } from '../../data/pieces.ts';
import type { Batch } from '../../data/batching/batch.ts';
import type { Split } from '../../data/splits/split.ts';
import {
  LOSS_RING,
  AdamW,
  add,
  bceWithLogits,
  type Device,
  gather,
  log,
  mul,
  type NumericArray,
  type Program,
  scale,
  slice,
  softmax,
  sum,
  type Tensor,
  topk,
} from '../../engine/index.ts';
import type { Files } from '../../model/storage/files.ts';
import { Ranker } from '../../model/ranker/ranker.ts';
import { finishRanker, saveRanker, rankerShapeOf, type Stages } from '../../model/ranker/store.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { ScorerOptions } from '../../model/inference/scored.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import type { ItemTokens } from '../../data/features/item-tokens.ts';
import type { Schema } from '../../data/features/schema.ts';
import { countItems } from '../baselines/baselines.ts';
import { RankerWeightFitter } from './fit-ranker-weight.ts';
import { needsOf } from '../loop/feed.ts';
import { RankerFeed } from './ranker-feed.ts';
import type { TimeBudget } from '../loop/time-budget.ts';

const BETAS = { beta1: 0.9, beta2: 0.98, eps: 1e-8 };
/** Of the moving average of the weights, which is what is validated and saved. */
const AVERAGE = 0.995;
/** What the encoder ranks best and negatives are drawn from, seen items still among it. */
const MINED = 128;
const WARMUP = 50;
/** Below any probability that counts: keeps the logarithm finite. */
const LEAST = 1e-12;

export interface RankerOptions {
  device: Device;
  files: Files;
  split: Split;
  settings: Settings;
  model: SequenceModel;
  /** The encoder's items E [V, D]. */
  table: Float32Array;
  /** The items' attributes, where it is to read them. */
  attributes: { schema: Schema; tokens: ItemTokens } | null;
  /** The copy of the encoder that is trained with it, where one is. */
  own: SequenceModel | null;
  blend: ScorerOptions['blend'];
  /** Users that are validated on. */
  users: Uint32Array;
  seed: number;
  includeSeen?: boolean;
  budget: TimeBudget;
  /** Steps of the encoder's weights. */
  encoderStep: number;
  onProgress?(progress: { step: number; loss: number | null; best: number | null; fraction: number }): void;
  log?(line: string): void;
}

/** @throws Stopped when it is interrupted: what was validated is saved */
export async function trainRanker(options: RankerOptions): Promise<Stages | null> {
  const run = new Run(options);
  try {
    return await run.go();
  } finally {
    run.dispose();
  }
}

class Run {
  private readonly o: RankerOptions;
  private readonly ranker: Ranker;
  private readonly feed: RankerFeed;
  /** Of each of the ranker's arenas. */
  private readonly optimizers: readonly AdamW[];
  private readonly mine: Program<{ states: Tensor; best: Tensor }>;
  private readonly step: Program<Record<string, never>>;
  private readonly least: Tensor;
  private mined: { states: Tensor; best: Tensor } | null = null;
  private best: Stages | null = null;

  constructor(o: RankerOptions) {
    const { device, settings, model, split, table, own, seed } = o;
    this.o = o;
    const attributes = o.attributes?.tokens ?? null;
    const about = { items: split.items, known: split.items, attributes, own, table, seed };
    this.ranker = new Ranker(device, rankerShapeOf(settings), about);
    const needs = needsOf(settings, split.side);
    this.feed = new RankerFeed(device, settings, countItems(split), needs, this.ranker.vocabulary);
    this.optimizers = this.ranker.arenas.map(
      (parameters) =>
        new AdamW(parameters, {
          ...BETAS,
          weightDecay: settings.weightDecay,
          embeddingDecay: settings.embeddingDecay,
          averageDecay: AVERAGE,
          clip: settings.clip,
          onFailure: 'status',
        }),
    );
    this.least = device.tensor([LEAST], [1], { label: 'least probability' }).keep();
    const k = Math.min(MINED, split.items);
    this.mine = device.program('mine negatives', () =>
      device.noGrad(() => {
        const states = model.encode(this.feed.tokens.encoder);
        return { states, best: topk(model.scores(gather(states, this.feed.chosen)), k).indices };
      }),
    );
    this.step = device.program('ranker step', () => {
      const loss = this.loss();
      loss.backward();
      for (const optimizer of this.optimizers) optimizer.step(loss);
      return {};
    });
  }

  private logits(): Tensor {
    const { feed, o } = this;
    if (!this.mined) throw new Error('ranker: nothing was mined');
    return this.ranker.logits(this.mined.states, o.model.table, feed.tokens, feed.training).logits;
  }

  private loss(): Tensor {
    const { feed, o } = this;
    const logits = this.logits();
    const { labels, rowWeights, weights } = feed.labels;
    if (o.settings.rankerLoss === 'bce') return bceWithLogits(logits, labels, rowWeights);
    const width = o.settings.rankerNegatives + 1;
    const shares = softmax(logits.reshape([feed.positions, width]));
    const right = log(add(slice(shares, 1, 0, 1).reshape([feed.positions]), this.least));
    return scale(sum(mul(right, weights)), -1);
  }

  async go(): Promise<Stages | null> {
    const { o } = this;
    const { settings, split, seed } = o;
    const started = performance.now();
    const time = o.budget.untilStopped();
    const fitter = await RankerWeightFitter.open(o.model, this.ranker, split, {
      users: o.users,
      includeSeen: o.includeSeen,
      blend: o.blend,
      pause: () => o.budget.pause(() => this.report(0, started)),
    });
    let step = 0;
    const pause = () => time.pause(() => this.report(step, started));
    let patience = 0;
    let validating = 0;
    try {
      for (let epoch = 0; ; epoch++) {
        const windows = { maxTokens: settings.budget, window: settings.window, seed, epoch };
        const plan = await inPieces(planEpoch(split, windows), pause);
        for (const batch of plan.batches()) {
          await this.take(batch, ++step, epoch);
          const due = step % settings.rankerValidate === 0;
          const late = this.outOfTime(validating);
          time.check();
          this.report(step, started);
          if (due || late) {
            const before = performance.now();
            const better = await this.validate(fitter, step, pause);
            validating = performance.now() - before;
            patience = better ? 0 : patience + 1;
          }
          if (late || patience >= settings.rankerPatience) {
            await finishRanker(o.files);
            return this.best;
          }
        }
      }
    } finally {
      fitter.dispose();
    }
  }

  /** One step on one batch. */
  private async take(batch: Batch, step: number, epoch: number): Promise<void> {
    const { seed, settings } = this.o;
    this.feed.take(batch, seed, step);
    this.mined = this.mine.run();
    await this.mine.settle();
    const best: NumericArray = await this.mined.best.data();
    const count = this.feed.draw(best as Uint32Array, this.mined.best.shape[1]);
    if (step === 1) await this.setBias(count * (settings.rankerNegatives + 1));
    const learningRate = settings.rankerLearningRate * Math.min(1, step / WARMUP);
    this.optimizers[0].prepare({ seed: seed + 1, step, learningRate, dropout: true, part: epoch % 2 });
    this.step.run();
    await this.step.pace();
  }

  /** Before the first step: the bias under which the probability of the candidates is right on average. */
  private async setBias(count: number): Promise<void> {
    const { device } = this.o;
    const logits = device.noGrad(() => device.scope(() => this.logits().keep()));
    const first = ((await logits.data()) as Float32Array).subarray(0, count);
    logits.dispose();
    const bias = biasFor(first, 1 / (this.o.settings.rankerNegatives + 1));
    device.write(this.ranker.parameters.get('output.bias'), Float32Array.of(bias));
    for (const parameters of this.ranker.arenas) await parameters.startAverage();
  }

  private async validate(fitter: RankerWeightFitter, step: number, pause: () => Promise<void>): Promise<boolean> {
    await this.step.settle();
    for (const { status } of this.optimizers) {
      const [bad] = await status.data();
      if (bad !== 0)
        throw new Error(`ranker: step ${bad} is not finite; try a lower ${option('settings.rankerLearningRate')}`);
    }
    this.exchangeAverages();
    try {
      const stages = await fitter.fit(this.o.encoderStep, pause);
      const ndcg = (name: 'retrieval' | 'ranker' | 'both') => stages.fitted[name]['NDCG@10'];
      const loss = (await this.optimizers[0].losses.data())[step % LOSS_RING];
      this.o.log?.(
        `ranker, step ${step}: loss ${loss.toFixed(4)}, validation NDCG@10 ${ndcg('both').toFixed(4)} (weight ${stages.weight}), ` +
          `first stage ${ndcg('retrieval').toFixed(4)}, standard error of the gain ${stages.fitted.error.toFixed(4)}, ` +
          `ranker alone ${ndcg('ranker').toFixed(4)}`,
      );
      if (this.best && ndcg('both') <= this.best.fitted.both['NDCG@10']) return false;
      this.best = stages;
      await saveRanker(this.o.files, this.ranker, this.o.attributes?.schema ?? null, stages);
      return true;
    } finally {
      this.exchangeAverages();
    }
  }

  /** The weights for their moving averages, or back. */
  private exchangeAverages(): void {
    for (const parameters of this.ranker.arenas) parameters.exchangeAverage();
    this.ranker.touch();
  }

  private outOfTime(validating: number): boolean {
    const { deadline } = this.o.budget;
    if (deadline === undefined) return false;
    const perStep = this.mine.milliseconds + this.step.milliseconds;
    return performance.now() + 3 * perStep + 1.3 * validating + 1500 > deadline;
  }

  private report(step: number, started: number): void {
    const { deadline } = this.o.budget;
    const fraction = deadline === undefined ? 0 : (performance.now() - started) / (deadline - started);
    const best = this.best?.fitted.both['NDCG@10'] ?? null;
    this.o.onProgress?.({ step, loss: null, best, fraction: Math.min(1, fraction) });
  }

  dispose(): void {
    this.mine.dispose();
    this.step.dispose();
    this.feed.dispose();
    for (const optimizer of this.optimizers) optimizer.dispose();
    this.least.dispose();
    this.ranker.dispose();
  }
}

/** b for which sigmoid(logit + b) is `share` on average, by bisection; 0 for no logits. */
function biasFor(logits: Float32Array, share: number): number {
  if (logits.length === 0) return 0;
  let [low, high] = [-64, 64];
  while (high - low > 1e-3) {
    const b = (low + high) / 2;
    const mean = logits.reduce((sum, x) => sum + 1 / (1 + Math.exp(-x - b)), 0) / logits.length;
    if (mean > share) high = b;
    else low = b;
  }
  return (low + high) / 2;
}
