/** The item tower: against PyTorch (test/golden/make.py), what training leaves of IDs, items that have none. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ItemFeatures } from '../../data/features/encoder.ts';
import { Device, type NumericArray } from '../../engine/index.ts';
import { checkSettings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Feed } from '../../train/loop/feed.ts';
import golden from '../golden/tower.json' with { type: 'json' };
import { firstMismatch } from '../kernels/harness.ts';

const { config, tensors } = golden as unknown as {
  config: Record<'d' | 'heads' | 'ff' | 'blocks' | 'window' | 'budget' | 'items' | 'known' | 'used' | 'rows', number>;
  tensors: Record<string, { shape: number[]; data: number[] }>;
};
const of = (name: string): Float64Array => Float64Array.from(tensors[name].data);
const near = { abs: 5e-5, rel: 2e-4 };

/** The script's dense bags as the encoder of items makes them. */
function features(): ItemFeatures {
  const bags = of('bags');
  const n = bags.length / config.rows;
  const [starts, columns, values]: number[][] = [[0], [], []];
  for (let t = 0; t < n; t++) {
    for (let a = 0; a < config.rows; a++) {
      const value = bags[t * config.rows + a];
      if (value === 0) continue;
      columns.push(a);
      values.push(value);
    }
    starts.push(columns.length);
  }
  const itemStarts = [0];
  for (const count of of('tokens')) itemStarts.push((itemStarts.at(-1) as number) + count);
  return {
    rows: config.rows,
    tokens: {
      starts: Uint32Array.from(starts),
      columns: Uint32Array.from(columns),
      values: Float32Array.from(values),
    },
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
  describe(`item tower on ${backend}`, () => {
    let device: Device;
    let model: SequenceModel;
    let feed: Feed;
    beforeAll(async () => {
      device = await Device.open({ backend });
      const catalog = { features: features(), known: config.known };
      model = SequenceModel.create(device, settings, config.items, 0, catalog);
      const names = Object.keys(tensors).filter((name) => name.startsWith('parameters.'));
      model.parameters.load('params', new Map(names.map((n) => [n.slice('parameters.'.length), of(n)])));
      feed = new Feed(device, budget);
      const u32 = (key: string) => Uint32Array.from(of(`batch.${key}`));
      feed.stage({
        tokens: config.used,
        items: u32('items'),
        positions: u32('positions'),
        targets: u32('targets'),
        start: u32('start'),
        end: u32('end'),
        weights: Float32Array.from(of('batch.weights')),
      });
      feed.upload();
    });
    afterAll(() => {
      model?.dispose();
      feed?.dispose();
      device?.close();
    });

    it('is that of PyTorch, loss and gradients', async () => {
      const loss = device.scope(() => {
        const l = model.loss(feed.tensors).keep();
        l.backward();
        return l;
      });
      expect(await loss.item()).toBeCloseTo(of('loss')[0], 5);
      loss.dispose();
      for (const name of Object.keys(tensors).filter((key) => key.startsWith('gradients.'))) {
        const grad = (await model.parameters.get(name.slice('gradients.'.length)).grad?.data()) as NumericArray;
        expect(firstMismatch(name, grad, of(name), near)).toBeNull();
      }
    });

    it('gives items without an ID the embedding of their attributes', async () => {
      await model.refresh();
      const eye = new Float32Array(d * d);
      for (let i = 0; i < d; i++) eye[i * d + i] = 1;
      const columns = device.noGrad(() => device.scope(() => model.scores(device.tensor(eye, [d, d])).keep()));
      const values = await columns.data();
      columns.dispose();
      const catalog = Float64Array.from(values, (_, i) => values[(i % d) * config.items + Math.floor(i / d)]);
      expect(firstMismatch('catalog', catalog, of('catalogue'), near)).toBeNull();
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
