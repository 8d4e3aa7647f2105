/** The `sasrec` training step as `attune train` runs it, on a pool of sequences (see ../sequences.mjs). */
import { readFileSync } from 'node:fs';
import { batches } from '../../../dist/data/batching/batches.js';
import { splitDataset } from '../../../dist/data/splits/split.js';
import { SequenceModel } from '../../../dist/model/encoders/sequence-model.js';
import { Feed } from '../../../dist/train/loop/feed.js';
import { AdamW } from '../../../dist/engine/index.js';

/** Sequences as the training histories of so many users; a split holds each one's last two events back. */
export function splitOf(sequences, items) {
  const offsets = new Uint32Array(sequences.length + 1);
  sequences.forEach((s, i) => {
    offsets[i + 1] = offsets[i] + s.length + 2;
  });
  const events = new Uint32Array(offsets.at(-1));
  sequences.forEach((s, i) => events.set(s, offsets[i]));
  const itemIds = Array.from({ length: items }, (_, i) => `${i}`);
  return splitDataset({
    userIds: sequences.map((_, i) => `${i}`),
    itemIds,
    offsets,
    items: events,
    ratings: null,
    times: null,
  });
}

/** With `spec.checkSteps` the few short sequences without dropout, whose losses are compared; else the whole pool. */
export function makeSasrec(device, spec) {
  const pool = JSON.parse(readFileSync(spec.file, 'utf8'));
  const { checkSteps = 0 } = spec;
  const sequences = checkSteps ? pool.check : pool.sequences;
  const positions = sequences.reduce((sum, s) => sum + s.length - 1, 0);
  const settings = checkSteps ? { ...pool.settings, dropout: 0, budget: Math.max(200, positions) } : pool.settings;
  const { budget, window } = settings;
  const split = splitOf(sequences, pool.items);
  const model = SequenceModel.create(device, settings, pool.items, pool.seed);
  const { weightDecay, clip, learningRate } = settings;
  const optimizer = new AdamW(model.parameters, { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay, clip });
  const feed = new Feed(device, budget);
  const program = device.program('training step', () => {
    const loss = model.loss(feed.tensors);
    loss.backward();
    optimizer.step(loss);
    return {};
  });
  let step = 0;
  const run = (batch) => {
    feed.stage(batch);
    feed.upload();
    optimizer.prepare({ seed: 1, step: ++step, learningRate, dropout: true });
    program.run();
  };
  return {
    /** Every batch once but a last one that is not full: an epoch of the whole log has a hundred before it. */
    async time(repeat) {
      let tokens = 0;
      for (let i = 0; i < repeat; i++) {
        for (const batch of batches(split, { maxTokens: budget, window, seed: 1, epoch: i })) {
          if (batch.tokens < 0.95 * budget) continue;
          tokens += batch.tokens;
          run(batch);
          await program.pace();
        }
      }
      await program.settle();
      return { tokens };
    },
    async outputs() {
      const [batch] = batches(split, { maxTokens: budget, window, seed: 1, epoch: 0 });
      for (let i = 0; i < checkSteps; i++) {
        run(batch);
        await device.settle();
      }
      return { losses: (await optimizer.losses.data()).slice(1, 1 + checkSteps) };
    },
    dispose() {
      for (const part of [program, feed, optimizer, model]) part.dispose();
      device.gpu?.buffers.trim();
    },
  };
}
