/** The encoder, the loss and the optimizer against PyTorch (test/golden/make.py). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device, type NumericArray } from '../../../engine/index.ts';
import type { Settings } from '../../../model/recipes/settings.ts';
import { settingsFor } from '../../../model/recipes/recipes.ts';
import { parametersOf } from '../../../model/encoders/network.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import type { Batch } from '../../../data/batching/batch.ts';
import { Feed } from '../../../train/loop/feed.ts';
import { AdamW } from '../../../train/loop/optimizer.ts';
import encoder from '../../golden/encoder.json' with { type: 'json' };
import training from '../../golden/training.json' with { type: 'json' };
import { firstMismatch } from '../harness.ts';

type Golden = { tensors: Record<string, { shape: number[]; data: number[] }> };
const of = (g: unknown, name: string): number[] => (g as Golden).tensors[name].data;

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
const names = parametersOf(settings, ITEMS).declared.map((p) => p.name);
const weights = (g: unknown, prefix: string): Map<string, NumericArray> =>
  new Map(names.map((n) => [n, Float32Array.from(of(g, `${prefix}.${n}`))]));

function batch(g: unknown, prefix: string): Batch {
  const u32 = (name: string) => Uint32Array.from(of(g, `${prefix}.${name}`));
  const w = Float32Array.from(of(g, `${prefix}.weights`));
  return {
    tokens: w.findLastIndex((x) => x > 0) + 1,
    items: u32('items'),
    positions: u32('positions'),
    targets: u32('targets'),
    weights: w,
    start: u32('start'),
    end: u32('end'),
  };
}

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`PyTorch's numbers on ${backend}`, () => {
    let device: Device;
    let model: SequenceModel;
    let feed: Feed;
    beforeAll(async () => {
      device = await Device.open({ backend });
      model = SequenceModel.create(device, settings, ITEMS, 0);
      feed = new Feed(device, settings.budget);
    });
    afterAll(() => device?.close());

    it('a two-block encoder: hidden states, loss, every gradient', async () => {
      model.parameters.load('params', weights(encoder, 'parameters'));
      model.parameters.zeroGradients();
      const b = batch(encoder, 'batch');
      feed.stage(b);
      feed.upload();
      const { h, loss } = device.scope(() => {
        const hidden = device.noGrad(() => model.encode(feed.tensors)).keep();
        const l = model.loss(feed.tensors).keep();
        l.backward();
        return { h: hidden, loss: l };
      });
      const hidden = (await h.data()).subarray(0, b.tokens * settings.d);
      const near = { abs: 2e-5, rel: 1e-4 };
      expect(firstMismatch('hidden', hidden, Float64Array.from(of(encoder, 'hidden')), near)).toBeNull();
      expect(await loss.item()).toBeCloseTo(of(encoder, 'loss')[0], 5);
      for (const name of names) {
        const grad = await model.parameters.get(name).grad?.data();
        const expected = Float64Array.from(of(encoder, `gradients.${name}`));
        expect(firstMismatch(`d${name}`, grad as NumericArray, expected, near)).toBeNull();
      }
      h.dispose();
      loss.dispose();
    });

    it('ten steps of training: every loss, and the parameters at the end', async () => {
      const config = (training as unknown as { config: Record<string, number> }).config;
      model.parameters.load('params', weights(training, 'start'));
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
        feed.stage(batch(training, `step${s}.batch`));
        feed.upload();
        optimizer.prepare({ seed: 1, step: s, learningRate: config.lr, dropout: true });
        step.run();
      }
      const losses = (await optimizer.losses.data()).subarray(1, 11);
      expect(
        firstMismatch('losses', losses, Float64Array.from(of(training, 'losses')), { abs: 1e-4, rel: 1e-4 }),
      ).toBeNull();
      const end = await model.parameters.read();
      for (const name of names) {
        const [actual, expected] = [end.get(name) as NumericArray, Float64Array.from(of(training, `end.${name}`))];
        // A bias of the keys shifts all scores of a query alike: its true gradient is 0, and AdamW makes whole steps
        // of whatever rounding leaves of it. It has no effect on anything else.
        if (name.endsWith('qkv.bias')) for (const a of [actual, expected]) a.fill(0, settings.d, 2 * settings.d);
        expect(firstMismatch(name, actual, expected, { abs: 1e-4, rel: 1e-4 })).toBeNull();
      }
      step.dispose();
      optimizer.dispose();
    });
  });
}
