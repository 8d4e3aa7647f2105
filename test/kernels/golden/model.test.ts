/** The encoder, the loss and the optimizer against PyTorch (test/golden/make.py). */
import { describe, it } from 'vitest';
import type { Settings } from '../../../model/recipes/settings.ts';
import { settingsFor } from '../../../model/recipes/recipes.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import type { Batch } from '../../../data/batching/batch.ts';
import { Feed } from '../../../train/loop/feed.ts';
import { AdamW } from '../../../engine/index.ts';
import encoderFile from '../../golden/encoder.json' with { type: 'json' };
import trainingFile from '../../golden/training.json' with { type: 'json' };
import { expectNear, Golden } from './golden.ts';
import { openDevice } from '../../device.ts';

const [encoder, training] = [new Golden(encoderFile), new Golden(trainingFile)];

const settings: Settings = {
  ...settingsFor('sasrec', {}),
  d: 16,
  ff: 32,
  blocks: 2,
  heads: 2,
  dropout: 0,
  window: 8,
  budget: 24,
};
const ITEMS = 13;

function batch(golden: Golden, prefix: string): Batch {
  const fed = golden.batch(prefix);
  return { ...fed, tokens: fed.weights.findLastIndex((x) => x > 0) + 1 };
}

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  describe(`PyTorch's numbers on ${backend}`, async () => {
    const device = await openDevice({ backend });
    const model = SequenceModel.create(device, settings, ITEMS, 0);
    const feed = new Feed(device, settings.budget);
    const { names } = model.parameters;

    it('a two-block encoder: hidden states, loss, every gradient', async () => {
      model.parameters.load('params', encoder.values(names, 'parameters.'));
      model.parameters.zeroGradients();
      feed.stage(batch(encoder, 'batch.'));
      await encoder.expectModel(model, feed, () => model.encode(feed.tensors), '', { abs: 2e-5, rel: 1e-4 });
    });

    it('ten steps of training: every loss, and the parameters at the end', async () => {
      const { config } = trainingFile;
      model.parameters.load('params', training.values(names, 'start.'));
      model.parameters.zeroGradients();
      const optimizer = new AdamW(model.parameters, {
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-8,
        weightDecay: config.decay,
        clip: config.clip,
      });
      const step = device.program('golden step', () => {
        const loss = model.loss(feed.tensors);
        loss.backward();
        optimizer.step(loss);
        return {};
      });
      for (let s = 1; s <= 10; s++) {
        feed.stage(batch(training, `step${s}.batch.`));
        feed.upload();
        optimizer.prepare({ seed: 1, step: s, learningRate: config.lr, dropout: true });
        step.run();
      }
      const losses = (await optimizer.losses.data()).subarray(1, 11);
      expectNear('losses', losses, training.f32('losses'), { abs: 1e-4, rel: 1e-4 });
      const end = await model.parameters.read();
      for (const name of names) {
        const [actual, expected] = [end.get(name) as Float32Array, training.f32(`end.${name}`)];
        // A bias of the keys shifts all scores of a query alike: its true gradient is 0, and AdamW makes whole steps
        // of whatever rounding leaves of it. It has no effect on anything else.
        if (name.endsWith('qkv.bias')) for (const a of [actual, expected]) a.fill(0, settings.d, 2 * settings.d);
        expectNear(name, actual, expected, { abs: 1e-4, rel: 1e-4 });
      }
      step.dispose();
      optimizer.dispose();
    });
  });
}
