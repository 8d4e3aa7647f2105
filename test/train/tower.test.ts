/** The item tower: against PyTorch (test/golden/make.py), what training leaves of IDs, items that have none. */
import { describe, expect, it } from 'vitest';
import type { ItemFeatures } from '../../data/features/encoder.ts';
import { checkSettings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Feed } from '../../train/loop/feed.ts';
import file from '../golden/tower.json' with { type: 'json' };
import { expectNear, Golden } from '../kernels/golden/golden.ts';
import { openDevice } from '../device.ts';

const { config } = file;
const golden = new Golden(file);
const near = { abs: 5e-5, rel: 2e-4 };

/** The script's dense bags as the encoder of items makes them. */
function features(): ItemFeatures {
  const itemStarts = [0];
  for (const count of golden.u32('tokens')) itemStarts.push((itemStarts.at(-1) as number) + count);
  return {
    rows: config.rows,
    tokens: golden.sparse('bags'),
    itemStarts: Uint32Array.from(itemStarts),
    unseen: new Map(),
  };
}

const { d, heads, ff, blocks, window, budget } = config;
const settings = checkSettings({
  ...settingsFor('sasrec', { items: 'tower', idDropout: '0.5' }),
  d,
  heads,
  ff,
  blocks,
  window,
  budget,
  dropout: 0,
});

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`item tower on ${backend}`, async () => {
    const device = await openDevice({ backend });
    const catalog = { features: features(), known: config.known };
    const model = SequenceModel.create(device, settings, config.items, 0, catalog);
    model.parameters.load('params', golden.values(model.parameters.names, 'parameters.'));
    const feed = new Feed(device, budget);
    feed.stage({ ...golden.batch('batch.'), tokens: config.used });
    feed.upload();

    it('is that of PyTorch, loss and gradients', async () => {
      const loss = device.scope(() => {
        const l = model.loss(feed.tensors).keep();
        l.backward();
        return l;
      });
      expect(await loss.item()).toBeCloseTo(golden.f32('loss')[0], 5);
      loss.dispose();
      for (const name of model.parameters.names)
        await golden.expectGradient(`gradients.${name}`, model.parameters.get(name), near);
    });

    it('gives items without an ID the embedding of their attributes', async () => {
      await model.refresh();
      const eye = new Float32Array(d * d);
      for (let i = 0; i < d; i++) eye[i * d + i] = 1;
      const columns = device.noGrad(() => device.scope(() => model.scores(device.tensor(eye, [d, d])).keep()));
      const values = await columns.data();
      columns.dispose();
      const catalog = Float64Array.from(values, (_, i) => values[(i % d) * config.items + Math.floor(i / d)]);
      expectNear('catalog', catalog, golden.f32('catalogue'), near);
    });

    it('drops IDs as a whole while training, anew in each step', async () => {
      const losses = new Set<number>();
      for (const step of [1, 1, 2, 3]) {
        device.write(device.state, stateOf(step));
        device.opCounter = 0;
        const loss = device.noGrad(() => device.scope(() => model.loss(feed.tensors).keep()));
        losses.add(await loss.item());
        loss.dispose();
      }
      device.write(device.state, new Uint32Array(device.state.size));
      expect(losses.size).toBe(3);
    });

    const stateOf = (step: number): Uint32Array => {
      const state = new Uint32Array(device.state.size);
      state.set([7, step, 0, 0, 0, 1]);
      return state;
    };
  });
}
