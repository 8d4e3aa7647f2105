/** The training step on the demo shop: tokens a second, what a dispatch costs the host, where GPU time goes. */
import { batches } from '../data/batching/batches.ts';
import type { Batch } from '../data/batching/batch.ts';
import { prepare } from '../data/dataset.ts';
import { makeShop } from '../data/demo-shop/shop.ts';
import { type Split, splitDataset } from '../data/splits/split.ts';
import { AdamW, type Device, type KernelTime, type Program, type Tensor } from '../engine/index.ts';
import type { Settings } from '../model/recipes/settings.ts';
import { LOSSES } from '../model/heads/losses/index.ts';
import { windowsOf } from '../model/recipes/derived.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import { SequenceModel } from '../model/encoders/sequence-model.ts';
import { countItems } from '../train/baselines/baselines.ts';
import { Feed, needsOf } from '../train/loop/feed.ts';
import { Negatives } from '../train/loop/negatives.ts';
import { findCodes } from '../train/item-codes.ts';
import { attendedPairs, flopCounter } from './cost.ts';
import { fractionOf, measureRoofline, type Roofline } from './roofline.ts';

export interface KernelShare extends KernelTime {
  /** Of the GPU time of all kernels. */
  share: number;
  gflops: number;
  gbs: number;
  /** Of what the adapter could do. */
  fraction: number;
}

export interface StepBench {
  device: string;
  settings: Settings;
  items: number;
  steps: number;
  /** Real tokens, without the unused tails of batches. */
  tokensPerSecond: number;
  /** As in training: staged by the host while the last one runs, two in flight. */
  millisecondsPerStep: number;
  /** Compiling, as far as the driver's cache of shaders does not have it, and the eager first step. */
  compileMilliseconds: number;
  firstStepMilliseconds: number;
  dispatches: number;
  submits: number;
  /** JavaScript of a replay by dispatch, encoding alone: a median while the device idles; null on the CPU device. */
  microsecondsPerDispatch: number | null;
  /** The same with the submits, which are the driver's work and compete with it for the cores of a software adapter. */
  microsecondsPerDispatchSubmitted: number | null;
  /** What the adapter can do, and GPU time by kernel of one step; null where not asked for or without timestamps. */
  profile: { roofline: Roofline; kernels: KernelShare[] } | null;
}

/** What a first step compiles: see `attune bench --case compile`. */
export interface CompileBench {
  device: string;
  kernels: number;
  compileMilliseconds: number;
  /** The eager first step, after that. */
  firstStepMilliseconds: number;
}

/** The step of a recipe on the demo shop. */
function stepOf(device: Device, recipe: string, small: boolean): Promise<MadeStep> {
  const settings = settingsFor(recipe, small ? { d: '32', ff: '64', window: '50', budget: '512' } : {});
  const shop = makeShop(small ? { shoppers: 100, items: 100 } : {});
  return makeStep(device, settings, splitDataset(prepare(shop.log, { minInteractions: 1 })));
}

export type MadeStep = Awaited<ReturnType<typeof makeStep>>;

/**
 * A training step: its program, and what puts the next batch where it reads.
 * @param touched rows of the item table that a step reads at most, where its gradient is kept by row
 */
export async function makeStep(device: Device, settings: Settings, split: Split, touched?: number) {
  const codes = settings.items === 'codes' ? await findCodes(split, settings.itemCodes, 1, async () => {}) : null;
  const model = SequenceModel.create(device, settings, split.items, 1, { touched, codes });
  const optimizer = new AdamW(model.parameters, {
    beta1: 0.9,
    beta2: 0.98,
    eps: 1e-8,
    weightDecay: settings.weightDecay,
    averageDecay: settings.ema,
    clip: settings.clip,
  });
  if (settings.ema > 0) await model.parameters.startAverage();
  const { sampled } = LOSSES[settings.loss];
  const negatives = sampled ? new Negatives(device, settings, countItems(split)) : null;
  const feed = new Feed(device, settings.budget, needsOf(settings), negatives, model.touched);
  const program = device.program('training step', () => {
    const loss = model.loss(feed.tensors, optimizer.rows());
    loss.backward();
    optimizer.step(loss);
    return {};
  });
  const source = endless(split, settings);
  let step = 0;
  const stage = () => {
    const batch = source.next().value;
    feed.stage(batch, { seed: 1, epoch: 0, batch: step });
    feed.upload();
    optimizer.prepare({ seed: 1, step: ++step, learningRate: settings.learningRate, dropout: true });
    return batch;
  };
  const dispose = () => {
    for (const part of [program, feed, optimizer, model]) part.dispose();
  };
  return { settings, split, optimizer, program, stage, dispose };
}

/** Compiles and runs the first step. @param onProgress hears how many kernels are compiled */
export async function firstStep(
  device: Device,
  { program, stage }: Pick<MadeStep, 'program' | 'stage'>,
  onProgress?: (done: number, total: number) => void,
): Promise<{ compileMilliseconds: number; firstStepMilliseconds: number }> {
  stage();
  const started = performance.now();
  await program.compile(onProgress);
  const compiled = performance.now();
  program.run();
  await device.settle();
  return { compileMilliseconds: compiled - started, firstStepMilliseconds: performance.now() - compiled };
}

/** Compiles what a recipe's first step takes; what that means depends on what the driver has in its cache. */
export async function benchCompile(
  device: Device,
  recipe: string,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<CompileBench> {
  const step = await stepOf(device, recipe, false);
  let kernels = 0;
  const times = await firstStep(device, step, (done, total) => {
    kernels = total;
    onProgress(done, total);
  });
  step.dispose();
  return { device: device.name, kernels, ...times };
}

/** Runs the step of a recipe, `sasrec` by default; a small one where asked for, and on the CPU device, which is slow all the same. */
export async function benchStep(
  device: Device,
  options: { recipe?: string; steps?: number; profile?: boolean; small?: boolean } = {},
): Promise<StepBench> {
  const cpu = device.backend === 'cpu';
  const steps = options.steps ?? (cpu ? 3 : 20);
  const made = await stepOf(device, options.recipe ?? 'sasrec', options.small ?? cpu);
  const { settings, split, program, stage } = made;
  const first = await firstStep(device, made);
  // Two replays measure how long one takes, from which its number of submits follows.
  for (let i = 0; i < 2; i++) {
    stage();
    program.run();
    await program.pace();
  }
  await program.settle();
  const before = device.stats();
  let tokens = 0;
  const started = performance.now();
  for (let i = 0; i < steps; i++) {
    tokens += stage().tokens;
    program.run();
    await program.pace();
  }
  await program.settle();
  const milliseconds = performance.now() - started;
  const after = device.stats();
  const dispatches = (after.dispatches - before.dispatches) / steps;
  const host = cpu ? null : await hostTime(program, stage);
  let profile: StepBench['profile'] = null;
  if (options.profile && device.caps?.timestamps) {
    const flopOf = flopCounter(attendedPairs(stage()));
    const before = await measureRoofline(device);
    const kernels = await program.profile({ runs: PROFILE_RUNS, flopOf });
    profile = sharesOf(await measureRoofline(device, 1, before), kernels);
  }
  const result: StepBench = {
    device: device.name,
    settings,
    items: split.items,
    steps,
    tokensPerSecond: (1000 * tokens) / milliseconds,
    millisecondsPerStep: milliseconds / steps,
    ...first,
    dispatches,
    submits: (after.submits - before.submits) / steps,
    microsecondsPerDispatch: host && (1000 * host.encode) / dispatches,
    microsecondsPerDispatchSubmitted: host && (1000 * host.submit) / dispatches,
    profile,
  };
  made.dispose();
  return result;
}

/** Runs that a profile averages. */
const PROFILE_RUNS = 3;

/** Milliseconds that a replay holds the host up: its encoding, and all of it; medians, each from an idle device. */
async function hostTime(
  program: Program<Record<string, Tensor>>,
  stage: () => void,
): Promise<{ encode: number; submit: number }> {
  const time = (work: () => void): number => {
    const started = performance.now();
    work();
    return performance.now() - started;
  };
  const encode = Array.from({ length: 51 }, () => time(() => [...program.encode()]));
  const submit: number[] = [];
  for (let i = 0; i < 7; i++) {
    stage();
    submit.push(time(() => program.run()));
    await program.pace();
    await program.settle();
  }
  return { encode: median(encode), submit: median(submit) };
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

function sharesOf(roofline: Roofline, kernels: readonly KernelTime[]): NonNullable<StepBench['profile']> {
  const total = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const shares = kernels.map((k) => ({
    ...k,
    share: k.ms / total,
    gflops: k.flop / k.ms / 1e6,
    gbs: k.bytes / k.ms / 1e6,
    fraction: fractionOf(roofline, k, k.ms),
  }));
  return { roofline, kernels: shares };
}

/** Batches, epoch after epoch. */
function* endless(split: Split, settings: Settings): Generator<Batch, never, undefined> {
  for (let epoch = 0; ; epoch++) yield* batches(split, { ...windowsOf(settings), seed: 1, epoch });
}
