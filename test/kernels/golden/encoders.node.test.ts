/** Every other kind of encoder against PyTorch (test/golden/make.py): hidden states, loss, every gradient. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device, type NumericArray } from '../../../engine/index.ts';
import { parametersOf } from '../../../model/encoders/network.ts';
import { checkSettings, type Settings } from '../../../model/recipes/settings.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import { Feed } from '../../../train/loop/feed.ts';
import golden from '../../golden/encoders.json' with { type: 'json' };
import { firstMismatch } from '../harness.ts';

const { config, tensors } = golden as unknown as {
  config: { plain: Partial<Settings>; encoders: Record<string, Partial<Settings>> };
  tensors: Record<string, { data: number[] }>;
};
const of = (name: string): Float64Array => Float64Array.from(tensors[name].data);
const SIZES = { d: 8, heads: 2, ff: 12, blocks: 2, window: 8, budget: 24, dropout: 0 };
const ITEMS = 11;
const USED = 20;

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`encoders as in PyTorch on ${backend}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await Device.open({ backend });
    });
    afterAll(() => device?.close());

    it.each(Object.keys(config.encoders))('%s', async (name) => {
      const settings = checkSettings({ ...config.plain, ...config.encoders[name], ...SIZES });
      const names = parametersOf(settings, ITEMS).declared.map((p) => p.name);
      const model = SequenceModel.create(device, settings, ITEMS, 0);
      model.parameters.load('params', new Map(names.map((n) => [n, of(`${name}.parameters.${n}`)])));
      const feed = new Feed(device, settings.budget, { times: true });
      const u32 = (key: string) => Uint32Array.from(of(key));
      feed.stage({
        tokens: USED,
        items: u32(settings.direction === 'bidirectional' ? 'masked.items' : 'batch.items'),
        positions: u32('batch.positions'),
        targets: u32('batch.targets'),
        weights: Float32Array.from(of('batch.weights')),
        start: u32('batch.start'),
        end: u32('batch.end'),
        times: u32('batch.times'),
      });
      feed.upload();
      const { h, loss } = device.scope(() => {
        const hidden = device.noGrad(() => model.encode(feed.tensors)).keep();
        const l = model.loss(feed.tensors).keep();
        l.backward();
        return { h: hidden, loss: l };
      });
      const near = { abs: 5e-5, rel: 2e-4 };
      const hidden = (await h.data()).subarray(0, USED * settings.d);
      expect(firstMismatch('hidden', hidden, of(`${name}.hidden`), near)).toBeNull();
      expect(await loss.item()).toBeCloseTo(of(`${name}.loss`)[0], 5);
      for (const n of names) {
        const grad = (await model.parameters.get(n).grad?.data()) as NumericArray;
        expect(firstMismatch(`d${n}`, grad, of(`${name}.gradients.${n}`), near)).toBeNull();
      }
      for (const t of [h, loss]) t.dispose();
      model.dispose();
      feed.dispose();
    });
  });
}
