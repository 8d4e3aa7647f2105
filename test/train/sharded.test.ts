/** An item table larger than one binding, through training, checkpoints, evaluation and recommending. */
import { describe, expect, it } from 'vitest';
import { Device, shardsOf } from '../../engine/index.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { train } from '../../train/loop/trainer.ts';
import type { TrainOptions } from '../../train/loop/options.ts';
import { expectSameCheckpoint, folderOf, small, splitOf, stopWhen } from './small.ts';
import { openDevice } from '../device.ts';

const ITEMS = 1500;

const split = splitOf(
  Array.from({ length: 150 }, (_, u) => Array.from({ length: 15 }, (_, i) => (u * 10 + i) % ITEMS)),
  ITEMS,
);
const settings = small({ validateSteps: '5', validateUsers: '8' });

async function run(device: Device, more: Partial<TrainOptions> = {}) {
  const files = await folderOf(split, settings, { seen: 'excluded' });
  const options: TrainOptions = { device, files, split, settings, seed: 1, ...more };
  return { files, options, result: await train(options) };
}

const until = (last: number) => stopWhen(({ step }) => step === last);

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`an item table in shards on ${backend}`, async () => {
    const device = await openDevice({ backend });
    const limited = await openDevice({ backend, maxBindingBytes: 32 * 1024 });

    it('trains as a whole one does, resumes bit for bit, and recommends', async () => {
      const whole = await run(device, until(10));
      const sharded = await run(limited, until(10));
      const probe = SequenceModel.create(limited, settings, split.items, 1);
      expect(shardsOf(probe.parameters.table('items.weight')).map(({ rows }) => rows)).toEqual([512, 512, 476]);
      probe.dispose();
      expect(sharded.result.losses.length).toBe(whole.result.losses.length);
      // To rounding: the online softmax merges other blocks, and the gradient's norm is summed shard by shard.
      sharded.result.losses.forEach(({ loss }, i) => expect(loss).toBeCloseTo(whole.result.losses[i].loss, 4));
      expect(whole.result.losses[0].loss - (whole.result.losses.at(-1)?.loss as number)).toBeGreaterThan(0.05);

      // Each step traced again, its slots filled with NaN bits before it.
      limited.debug = true;
      const again = await run(limited, until(10));
      limited.debug = false;
      expect(again.result.losses).toEqual(sharded.result.losses);
      const first = await run(limited, until(6));
      const resumed = await train({ ...first.options, ...until(10), resume: true });
      expect(resumed.losses.at(-1)).toEqual(sharded.result.losses.at(-1));
      const saved = await loadCheckpoint(sharded.files);
      for (const group of ['params', 'm', 'v'] as const)
        expect(saved?.[group].get('items.weight')?.shape).toEqual([ITEMS, 16]);
      await expectSameCheckpoint(sharded.files, first.files);

      // One folder, read by both devices.
      const answers = [];
      for (const d of [device, limited]) {
        const recommender = await Recommender.load(sharded.files, { device: d });
        answers.push(await recommender.recommend({ history: ['i700', 'i701', 'i1499'], k: 20 }));
        recommender.close();
      }
      expect(answers[1]).toEqual(answers[0]);
      expect(answers[0].items.length).toBe(20);
    });
  });

  it(`ranks by tiles of the catalog where a row of scores exceeds a binding, on ${backend}`, async () => {
    const tiny = { ...settings, d: 4, ff: 8, window: 4, dropout: 0 };
    const queries = Array.from({ length: 8 }, (_, u) => ({
      history: Uint32Array.of(u * 160, u * 7, u * 30 + 1),
      target: u === 4 ? undefined : (u * 211) % ITEMS,
      exclude: Uint32Array.of(u * 160, 3, 1499),
    }));
    const scored = [];
    for (const maxBindingBytes of [undefined, 4096]) {
      const device = await Device.open({ backend, maxBindingBytes });
      const model = SequenceModel.create(device, tiny, ITEMS, 5);
      const scorer = new Scorer(model, { k: 50 });
      // Four users a tile, so that the model's own activations stay within the limit; the second run is a replay.
      scored.push([...(await scorer.score(queries.slice(0, 4))), ...(await scorer.score(queries.slice(4)))]);
      expect(await scorer.score(queries.slice(0, 4))).toEqual(scored.at(-1)?.slice(0, 4));
      scorer.dispose();
      model.dispose();
      device.close();
    }
    expect(scored[1]).toEqual(scored[0]);
    expect(scored[0].map((s) => s.items.length)).toEqual(queries.map(() => 50));
    expect(new Set(scored[0].map((s) => s.rank)).size).toBeGreaterThan(5);
  });
}

it('a matrix that is more than a binding is refused, with what to change', async () => {
  const device = await Device.open({ backend: 'cpu', maxBindingBytes: 8192 });
  expect(() => SequenceModel.create(device, { ...settings, window: 200 }, 10, 1)).toThrow(
    /^positions\.weight \[200,16\] needs 0\.0 MiB, this adapter binds at most 0\.0 MiB; choose a smaller window or d$/,
  );
  expect(() => SequenceModel.create(device, { ...settings, d: 64 }, 100, 1)).toThrow(
    /^64 rows of items\.weight \[64,64\] needs/,
  );
  expect(() => SequenceModel.create(device, { ...settings, ff: 200 }, 10, 1)).toThrow(
    /ffn\.up\.weight .* smaller d or ff$/,
  );
});
