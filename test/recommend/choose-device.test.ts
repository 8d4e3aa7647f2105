/** Which device lists come from, where nobody says. */
import { describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { Recommender } from '../../recommend/index.ts';
import { recipes } from '../../model/recipes/recipes.ts';
import { smallModel, idOf } from './model.fixture.ts';

const history = [3, 14, 15, 9].map(idOf);

async function modelOf(recipe: string) {
  const cpu = await Device.open({ backend: 'cpu' });
  return smallModel(cpu, { recipe });
}

describe('the device of lists', () => {
  it('is WebAssembly where the adapter is software, and what was asked for where something was', async () => {
    const files = await modelOf('sasrec');
    const lists = [];
    for (const backend of ['auto', 'wasm', 'webgpu', 'cpu'] as const) {
      const recommender = await Recommender.load(files, { backend });
      const { gpu, backend: chosen } = recommender.device;
      expect(chosen).toBe(
        backend === 'auto' && !(gpu && !gpu.software) ? 'wasm' : backend === 'auto' ? 'webgpu' : backend,
      );
      lists.push((await recommender.recommend({ history, k: 5 })).items);
      recommender.close();
    }
    for (const items of lists.slice(1)) {
      expect(items.map(({ id }) => id)).toEqual(lists[0].map(({ id }) => id));
      for (const [i, { score }] of items.entries()) expect(score).toBeCloseTo(lists[0][i].score, 3);
    }
  });

  it('is the one that is shared', async () => {
    const device = await Device.open({ backend: 'webgpu' });
    const recommender = await Recommender.load(await modelOf('sasrec'), { device });
    expect(recommender.device).toBe(device);
    recommender.close();
    device.check();
    device.close();
  });

  /** Attention of other kinds than softmax over one sequence. */
  const LEFT = ['relative_attention_fwd', 'cached_attention'];

  it.each([...recipes.keys()])('runs lists of %s in WebAssembly, other kinds of attention aside', async (recipe) => {
    const recommender = await Recommender.load(await modelOf(recipe), { backend: 'wasm' });
    await recommender.recommend({ history, k: 5 });
    const left = Object.entries(recommender.device.variants()).filter(([, ran]) => ran.includes('reference'));
    expect(left.map(([name]) => name).filter((name) => !LEFT.includes(name))).toEqual([]);
    recommender.close();
  });
});
