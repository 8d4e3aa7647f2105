/** A catalog so large that the gradient of its item table is kept by row, through training, validation and checkpoints. */
import { describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { touchedRows } from '../../model/recipes/derived.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { createEncoder, train, trainEncoder } from '../../train/loop/trainer.ts';
import type { TrainOptions } from '../../train/loop/options.ts';
import { set } from '../set.ts';
import { openDevice } from '../device.ts';
import {
  expectSameCheckpoint,
  expectSameInDebugMode,
  folderOf,
  itemsOf,
  sameBits,
  small,
  splitOf,
  stopWhen,
} from './small.ts';

const ITEMS = 100_000;
const LENGTH = 25;
// Each item once; popular ones again and again, so that rows are idle for one step and for all.
const split = splitOf(
  Array.from({ length: ITEMS / LENGTH }, (_, u) => [
    ...Array.from({ length: LENGTH }, (_, i) => u * LENGTH + i),
    u % 50,
    (u * 7) % 50,
  ]),
  ITEMS,
);
const items = itemsOf(split);
const SAMPLED = 'd=4 ff=8 validateSteps=12 validateUsers=6 negatives=8 negativeGroup=0 loss=sampled-softmax';
const sampled = (more = '') => small(set(`${SAMPLED} ${more}`.trim()));

async function options(device: Device, settings = sampled(), more: Partial<TrainOptions> = {}): Promise<TrainOptions> {
  const files = await folderOf(split, settings, { items });
  return { device, files, split, settings, seed: 1, ...more };
}

const until = (last: number) => stopWhen(({ step }) => step === last);

it.each([
  [ITEMS, '', 2 * 128 + 8],
  [ITEMS, 'negativeGroup=16', 2 * 128 + 64],
  [ITEMS - 1, '', undefined],
  [ITEMS, 'loss=softmax', undefined],
  [ITEMS, 'accumulate=2', undefined],
  [ITEMS, 'ema=0.9 embeddingDecay=0.1', undefined],
  [ITEMS, 'ema=0.9', 2 * 128 + 8],
  // Row-wise Adagrad is by row whatever the catalog.
  [50, 'tableOptimizer=adagrad', 2 * 128 + 8],
  // So many rows a step that a dense gradient costs no more.
  [ITEMS, 'negativeGroup=1 negatives=400', undefined],
])('of %d items with %s a step reads %s rows', (count, more, rows) => {
  expect(touchedRows(sampled(more), count)).toBe(rows);
});

it.each(['loss=softmax', 'accumulate=2', 'ema=0.9 embeddingDecay=0.1'])(
  'row-wise Adagrad with %s is refused',
  (more) => {
    expect(() => sampled(`tableOptimizer=adagrad ${more}`)).toThrow(
      /tableOptimizer.*adagrad requires a loss over samples/s,
    );
  },
);

describe('an item table by row', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  it.each(['sampled-softmax ema=0.9', 'gbce', 'bpr negativeGroup=32 similarity=cosine'])(
    'trains as a dense table does: loss=%s',
    async (loss) => {
      const settings = sampled(`loss=${loss}`);
      const dense = SequenceModel.create(device, settings, ITEMS, 1);
      const byRow = createEncoder(await options(device, settings));
      expect(byRow.parameters.rowTables[0].capacity).toBeLessThan(500);
      expect(dense.parameters.rowTables.length).toBe(0);
      const [a, b] = [
        await trainEncoder(dense, await options(device, settings, until(14))),
        await trainEncoder(byRow, await options(device, settings, until(14))),
      ];
      expect(b.result.losses.length).toBe(15);
      b.result.losses.forEach(({ loss }, i) => expect(loss).toBeCloseTo(a.result.losses[i].loss, 5));
      expect(a.result.losses[0].loss).not.toBeCloseTo(a.result.losses[14].loss, 3);
      expect(b.result.bestNdcg).toBeCloseTo(a.result.bestNdcg as number, 5);
      // What validation kept, and what the model holds at the end.
      for (const [x, y] of [
        [a.best?.get('items.weight')?.data, b.best?.get('items.weight')?.data],
        [await dense.itemTable(), await byRow.itemTable()],
      ]) {
        const worst = (x as Float32Array).reduce(
          (most, value, i) => Math.max(most, Math.abs(value - (y?.[i] ?? 9))),
          0,
        );
        expect(worst).toBeLessThan(2e-4);
      }
      for (const model of [dense, byRow]) model.dispose();
    },
  );

  it.each(['ema=0.9', 'ema=0.9 tableOptimizer=adagrad'])(
    '%s goes on after an interruption bit for bit, whenever it was validated or saved',
    async (more) => {
      const settings = sampled(more);
      const whole = await options(device, settings, until(20));
      await train(whole);
      const first = await options(device, settings, until(9));
      expect((await train(first)).reason).toBe('interrupted');
      const resumed = await train({ ...first, ...until(20), resume: true });
      expect(resumed.step).toBe(21);
      await expectSameCheckpoint(whole.files, first.files);
      const [a, b] = [await loadCheckpoint(whole.files), await loadCheckpoint(first.files)];
      expect(a?.rows?.last.some((step) => step > 0 && step < 20)).toBe(true);
      expect(sameBits(b?.rows?.last, a?.rows?.last) && sameBits(b?.rows?.history, a?.rows?.history)).toBe(true);
      if (settings.tableOptimizer === 'adagrad') expect(sameBits(b?.rows?.sums, a?.rows?.sums)).toBe(true);
      expect(a?.m.has('items.weight')).toBe(settings.tableOptimizer === 'adamw');
      const [c, d] = [await loadModel(whole.files), await loadModel(first.files)];
      for (const [name, { data }] of c.tensors) expect(sameBits(d.tensors.get(name)?.data, data), name).toBe(true);
    },
  );

  it('is the same in debug mode', async () => {
    await expectSameInDebugMode(device, async () => (await train(await options(device, sampled(), until(4)))).losses);
  });

  it('names what was not finite', async () => {
    const attempt = train(await options(device, sampled('learningRate=1e30'), { epochs: 1 }));
    await expect(attempt).rejects.toThrow(/step \d+ is not finite; the first such tensor is/);
  });
});
