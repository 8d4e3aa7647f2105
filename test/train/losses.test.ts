/** Losses over samples, averages, accumulation and augmentation, through the trainer. */
import { describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { train } from '../../train/loop/trainer.ts';
import { expectSameCheckpoint, expectSameInDebugMode, ring, run, small, stopWhen } from './small.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const MOL = { head: 'mol', similarity: 'cosine', molUser: '2', molWidth: '8', molGate: '4' };
const LOSSES: [string, Record<string, string>][] = [
  ['smoothed softmax', { labelSmoothing: '0.1' }],
  ['cosine, full softmax', { similarity: 'cosine', temperature: '0.1' }],
  ['sampled softmax', { loss: 'sampled-softmax', negatives: '8', negativeGroup: '32' }],
  [
    'sampled softmax in the batch',
    { loss: 'sampled-softmax', negatives: '8', negativeGroup: '0', sampler: 'in-batch' },
  ],
  ['cosine, sampled softmax', { loss: 'sampled-softmax', negatives: '8', negativeGroup: '16', similarity: 'cosine' }],
  ['mixture of logits', { ...MOL, loss: 'sampled-softmax', negatives: '8', negativeGroup: '32' }],
  ['gbce', { loss: 'gbce', negatives: '5', negativeGroup: '16', sampler: 'popularity' }],
  ['bce, one negative a position', { loss: 'bce', negatives: '1', negativeGroup: '1' }],
  ['bpr', { loss: 'bpr', negatives: '8', negativeGroup: '8' }],
];
const sampled = { loss: 'sampled-softmax', negatives: '8', negativeGroup: '32', sampler: 'popularity' };
/** All at once: what a resumed run must find again. */
const EVERYTHING = {
  ...sampled,
  ...set(
    'ema=0.9 accumulate=2 schedule=cosine warmup=3 embeddingDecay=0.01 augmentCrop=0.5 augmentMask=0.5 augmentReorder=0.2',
  ),
};

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`losses on ${backend}`, async () => {
    const device = await openDevice({ backend });
    const limited = await openDevice({ backend, maxBindingBytes: 2 ** 15 });
    const split = ring();

    it.each(LOSSES)('%s learns the ring, and serves it as it was trained', async (_, settings) => {
      const { files, result } = await run(device, split, small(settings), { epochs: 12 });
      expect(result.bestNdcg).toBeGreaterThan(0.9);
      const recommender = await Recommender.load(files, { device });
      const { items } = await recommender.recommend({ history: ['i3', 'i4', 'i5'], k: 3 });
      expect(items[0].id).toBe('i6');
      if (settings.similarity === 'cosine')
        for (const { score } of items)
          expect(Math.abs(score)).toBeLessThanOrEqual(1 / Number(settings.temperature ?? 0.05) + 1e-4);
      recommender.close();
    });

    it('goes on after an interruption bit for bit with all of it', async () => {
      const settings = small(EVERYTHING);
      const whole = await run(device, split, settings, { epochs: 4 });
      const first = await run(device, split, settings, { epochs: 4, ...stopWhen((p) => p.step === 5) });
      expect(first.result.reason).toBe('interrupted');
      const second = await train({ ...first.options, signal: undefined, onProgress: undefined, resume: true });
      expect(second).toMatchObject({ step: whole.result.step, bestNdcg: whole.result.bestNdcg });
      const saved = await loadCheckpoint(whole.files);
      expect(saved?.average?.size).toBe(saved?.params.size);
      await expectSameCheckpoint(whole.files, first.files);
      expect(whole.result.losses.slice(first.result.step)).toEqual(second.losses);
    });

    it('saves the average as the model and keeps the raw weights to go on with', async () => {
      const { files, result } = await run(device, split, small({ ema: '0.9', validateSteps: '6' }), { epochs: 1 });
      expect(result.validations.at(-1)?.step).toBe(result.step);
      const best = (await loadModel(files)).tensors.get('items.weight')?.data;
      const saved = await loadCheckpoint(files);
      const plain = await run(device, split, small({ validateSteps: '6' }), { epochs: 1 });
      expect((await loadCheckpoint(plain.files))?.params.get('items.weight')?.data).toEqual(
        saved?.params.get('items.weight')?.data,
      );
      if (result.bestNdcg === result.validations.at(-1)?.metrics['NDCG@10'])
        expect(best).toEqual(saved?.average?.get('items.weight')?.data);
      expect(saved?.average?.get('items.weight')?.data).not.toEqual(saved?.params.get('items.weight')?.data);
    });

    it('decays embeddings alone by their own rate', async () => {
      const norms = async (settings: Record<string, string>) => {
        const { files } = await run(device, split, small(settings), { epochs: 1 });
        const saved = await loadCheckpoint(files);
        return ['items.weight', 'positions.weight', 'blocks.0.ffn.up.weight'].map((name) =>
          Math.hypot(...(saved?.params.get(name)?.data ?? [])),
        );
      };
      const [plain, decayed] = [await norms({}), await norms({ embeddingDecay: '20' })];
      expect(decayed[0]).toBeLessThan(0.8 * plain[0]);
      expect(decayed[1]).toBeLessThan(0.8 * plain[1]);
      expect(decayed[2]).toBeGreaterThan(0.95 * plain[2]);
    });

    it('takes a step for several batches, the last one of an epoch for what is left', async () => {
      const one = await run(device, split, small(), { epochs: 2 });
      const three = await run(device, split, small({ accumulate: '3' }), { epochs: 2 });
      expect(three.result.step).toBe(2 * Math.ceil(one.result.step / 2 / 3));
      expect(three.result.tokens).toBe(one.result.tokens);
    });

    it('samples in an item table that lies in shards, or says what is too large', async () => {
      const many = ring(60, 600);
      const settings = small({ ...sampled, negatives: '32', validateUsers: '8' });
      const whole = await run(device, many, settings, { epochs: 1 });
      const inShards = await run(limited, many, settings, { epochs: 1 });
      expect(inShards.result.losses.length).toBe(whole.result.losses.length);
      inShards.result.losses.forEach(({ loss }, i) => expect(loss).toBeCloseTo(whole.result.losses[i].loss, 4));
      const large = run(limited, many, small({ ...sampled, negatives: '200', validateUsers: '8' }), { epochs: 1 });
      await expect(large).rejects.toThrow(
        /^`settings.negatives: 200`: their (embeddings|scores) need .* MiB a batch, this adapter binds at most .*; choose fewer, a larger negativeGroup, or a smaller budget$/,
      );
    });
  });
}

describe('the recorded steps', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  it.each([
    ['all of it', EVERYTHING],
    ['a mixture of logits', { ...EVERYTHING, ...MOL }],
  ])('of %s give the same bits twice, also in debug mode', async (_, settings) => {
    const losses = async () => (await run(device, ring(), small(settings), { epochs: 2 })).result.losses;
    expect(await losses()).toEqual(await losses());
    await expectSameInDebugMode(device, losses);
  });

  it.each(['sasrec-bce', 'gsasrec', 'esasrec', 'hstu'])('of %s train with its own loss', async (recipe) => {
    const { result } = await run(device, ring(), small({ learningRate: '0.005' }, recipe), { epochs: 6 });
    const mean = (of: typeof result.losses) => of.reduce((sum, { loss }) => sum + loss, 0) / of.length;
    expect(mean(result.losses.slice(-6))).toBeLessThan(0.97 * mean(result.losses.slice(0, 6)));
  });

  it('name the batch that was not finite, in a step of several', async () => {
    const device = await Device.open({ backend: 'cpu' });
    const attempt = run(device, ring(), small({ ...sampled, accumulate: '2', learningRate: '1e30' }), { epochs: 3 });
    await expect(attempt).rejects.toThrow(/step \d+ is not finite; the first such tensor is /);
  });
});

it('a cosine without an end is refused', async () => {
  const device = await Device.open({ backend: 'cpu' });
  await expect(run(device, ring(), small({ schedule: 'cosine' }), {})).rejects.toThrow(
    '`settings.schedule: cosine`: its end must be known; add `epochs: N` or `settings.scheduleSteps: N`',
  );
});
