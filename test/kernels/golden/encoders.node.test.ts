/** Every other kind of encoder against PyTorch (test/golden/make.py): hidden states, loss, every gradient. */
import { describe, it } from 'vitest';
import { checkSettings, type Settings } from '../../../model/recipes/settings.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import { Feed } from '../../../train/loop/feed.ts';
import file from '../../golden/encoders.json' with { type: 'json' };
import { Golden } from './golden.ts';
import { openDevice } from '../../device.ts';

const config: { plain: Partial<Settings>; encoders: Record<string, Partial<Settings>> } = file.config as never;
const golden = new Golden(file);
const SIZES = { d: 8, heads: 2, ff: 12, blocks: 2, window: 8, budget: 24, dropout: 0 };
const ITEMS = 11;
const USED = 20;

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  describe(`encoders as in PyTorch on ${backend}`, async () => {
    const device = await openDevice({ backend });

    it.each(Object.keys(config.encoders))('%s', async (name) => {
      const settings = checkSettings({ ...config.plain, ...config.encoders[name], ...SIZES });
      const model = SequenceModel.create(device, settings, ITEMS, 0);
      model.parameters.load('params', golden.values(model.parameters.names, `${name}.parameters.`));
      const feed = new Feed(device, settings.budget, { times: true });
      const batch = { ...golden.batch('batch.'), tokens: USED, times: golden.u32('batch.times') };
      if (settings.direction === 'bidirectional') batch.items = golden.u32('masked.items');
      feed.stage(batch);
      const near = { abs: 5e-5, rel: 2e-4 };
      await golden.expectModel(model, feed, () => model.encode(feed.tensors), `${name}.`, near);
      model.dispose();
      feed.dispose();
    });
  });
}
