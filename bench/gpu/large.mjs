/**
 * Training steps that are large in one way: a history of 8,192 tokens (`long`), and a catalog of a million items under
 * a sampled loss (`million`). Memory is that of the device's buffers.
 */
import { batches } from '../../dist/data/batching/batches.js';
import { SequenceModel } from '../../dist/model/encoders/sequence-model.js';
import { settingsFor } from '../../dist/model/recipes/recipes.js';
import { Feed } from '../../dist/train/loop/feed.js';
import { Negatives } from '../../dist/train/loop/negatives.js';
import { AdamW } from '../../dist/engine/index.js';
import { splitOf } from '../peers/peers/attune-sasrec.mjs';
import { deadline, emit, openDevice, quick, what } from './part.mjs';

const T = quick ? 512 : 8192;
const CASES = {
  long: { items: 3416, histories: [T], settings: { window: `${T}`, budget: `${T}` } },
  million: {
    items: quick ? 20_000 : 1_000_000,
    histories: Array.from({ length: 64 }, () => 200),
    settings: { loss: 'sampled-softmax', negatives: quick ? '64' : '1024', budget: quick ? '512' : '4096' },
  },
};
const MOST_STEPS = quick ? 2 : 20;

const { items, histories, settings: given } = CASES[what];
const settings = settingsFor('sasrec', given);
const sequences = histories.map((n, u) => Array.from({ length: n + 1 }, (_, i) => (i * 7919 + u * 104_729) % items));
const split = splitOf(sequences, items);
const device = await openDevice();
const model = SequenceModel.create(device, settings, items, 1);
const { weightDecay, clip, learningRate, budget, window } = settings;
const optimizer = new AdamW(model.parameters, { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay, clip });
const sampled = settings.loss !== 'softmax';
const negatives = sampled ? new Negatives(device, settings, new Uint32Array(items).fill(1)) : null;
const feed = new Feed(device, budget, {}, negatives);
const program = device.program('training step', () => {
  const loss = model.loss(feed.tensors);
  loss.backward();
  optimizer.step(loss);
  return {};
});
const [batch] = batches(split, { maxTokens: budget, window, seed: 1, epoch: 0 });
emit({
  device: device.name,
  items,
  tokens: batch.tokens,
  loss: settings.loss,
  negatives: sampled ? settings.negatives : 0,
});

const times = [];
for (let step = 1; step <= MOST_STEPS && performance.now() < deadline; step++) {
  const started = performance.now();
  feed.stage(batch, { seed: 1, epoch: 0, batch: step });
  feed.upload();
  optimizer.prepare({ seed: 1, step, learningRate, dropout: true });
  if (step === 1) await program.compile();
  const compiled = performance.now();
  if (step === 1) emit({ compileMilliseconds: compiled - started });
  program.run();
  await program.pace();
  await program.settle();
  times.push(performance.now() - compiled);
  if (step === 1) emit({ firstStepMilliseconds: times[0], losses: [] });
}
const rest = times.slice(1).sort((a, b) => a - b);
const losses = [...(await optimizer.losses.data())].slice(1, 1 + times.length);
emit({
  steps: times.length,
  stepMilliseconds: rest[rest.length >> 1] ?? null,
  losses,
  peakBytes: device.stats().peakBytes,
});
if (!losses.every(Number.isFinite)) throw new Error(`losses: expected finite numbers, got ${losses}`);
device.close();
