/** Every recipe's encoder learns, from the trainer to a recommendation. */
import { describe, expect, it } from 'vitest';
import type { Split } from '../../data/splits/split.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { train } from '../../train/loop/trainer.ts';
import { expectSameInDebugMode, folderOf, splitOf } from './small.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const ITEMS = 12;

/** Shoppers who walk round a ring of twelve items; how far depends on the time since their last visit: one step or three. */
function ring(times: boolean): Split {
  const time: number[] = [];
  const histories = Array.from({ length: 60 }, (_, u) => {
    let [at, when] = [u * 5, 0];
    return Array.from({ length: 15 }, (_, i) => {
      // The pause before an event tells how far the next one is.
      const long = times && (u * 7 + i * i) % 3 === 0;
      when += long ? 100_000 : 10;
      time.push(when);
      const item = at % ITEMS;
      at += long ? 3 : 1;
      return item;
    });
  });
  return splitOf(histories, ITEMS, { time: times ? Float64Array.from(time) : null });
}

describe('encoders learn', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  async function learn(recipe: string, split: Split, more: Record<string, string> = {}, epochs = 30) {
    const settings = settingsFor(recipe, {
      ...set(
        'd=16 ff=32 blocks=1 heads=2 window=8 budget=256 learningRate=0.02 validateSteps=40 dropout=0 loss=softmax similarity=dot maskLast=0.4',
      ),
      ...more,
    });
    const files = await folderOf(split, settings, { recipe });
    const result = await train({ device, files, split, settings, seed: 1, epochs, includeSeen: true });
    return { result, files };
  }

  it.each(['sasrec-bce', 'bert4rec', 'esasrec'])('%s: the next item of a ring', async (recipe) => {
    // Norms after the residuals ask for smaller steps, and a masked share of the tokens for more of them.
    const [more, epochs] = recipe === 'bert4rec' ? [{ learningRate: '0.005' }, 60] : [{}, 30];
    const { result, files } = await learn(recipe, ring(false), more, epochs);
    expect(result.bestNdcg).toBeGreaterThan(0.95);
    const recommender = await Recommender.load(files, { device });
    const { items } = await recommender.recommend({ history: ['i3', 'i4', 'i5'], k: 1, includeSeen: true });
    expect(items[0].id).toBe('i6');
    recommender.close();
  });

  it.each(['norm=rms', 'block=recurrent'])('sasrec with %s: the next item of a ring', async (more) => {
    const { result } = await learn('sasrec', ring(false), set(more));
    expect(result.bestNdcg).toBeGreaterThan(0.95);
  });

  it('hstu: a step that only the times of the events tell', async () => {
    const split = ring(true);
    const { result, files } = await learn('hstu', split);
    const blind = await learn('hstu', split, { bias: 'relative' });
    expect(result.bestNdcg).toBeGreaterThan(0.93);
    expect(blind.result.bestNdcg).toBeLessThan(0.9);
    const recommender = await Recommender.load(files, { device });
    const next = async (times?: number[]) =>
      (await recommender.recommend({ history: ['i3', 'i4', 'i5'], times, k: 1, includeSeen: true })).items[0].id;
    expect(await next([10, 20, 30])).toBe('i6');
    expect(await next([10, 20, 100_020])).toBe('i8');
    expect(await next()).toMatch(/^i/); // without times: in order, one unit apart
    await expect(next([1, 2])).rejects.toThrow('times: expected one for each of the 3 items');
    recommender.close();
  });

  it.each(['bert4rec', 'hstu'])('%s: the same bits again, also in debug mode', async (recipe) => {
    const split = ring(true);
    const losses = async () => (await learn(recipe, split, { dropout: '0.2' }, 3)).result.losses;
    await expectSameInDebugMode(device, losses, 8);
  });
});
