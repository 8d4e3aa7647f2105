/** From the trainer to a continuation: shoppers who walk round a ring, so that what follows is known. */
import { describe, expect, it } from 'vitest';
import { parseProtocol } from '../../data/splits/protocol.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { evaluateNext, nextMetrics } from '../../train/evaluation/next.ts';
import { expectSameInDebugMode, ring, run, small } from './small.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { openDevice } from '../device.ts';

describe('metrics of the next n', () => {
  it('count each event once, by its place and its rank', () => {
    expect(nextMetrics([1, 2, 3], [1, 2, 3])).toEqual({ Recall: 1, NDCG: 1, HR: 1, First: 1, Order: 1 });
    expect(nextMetrics([7, 8, 9], [1, 2, 3])).toEqual({ Recall: 0, NDCG: 0, HR: 0, First: 0, Order: 0 });
    const some = nextMetrics([3, 2, 2, 9], [1, 2, 3, 4]);
    expect(some).toMatchObject({ Recall: 0.5, HR: 1, First: 0, Order: 0.25 });
    const worth = (i: number) => 1 / Math.log2(i + 2);
    expect(some.NDCG).toBeCloseTo((worth(0) + worth(1)) / (worth(0) + worth(1) + worth(2) + worth(3)));
    // An event that comes twice can be met once.
    expect(nextMetrics([1, 1], [1, 1])).toMatchObject({ Recall: 1, NDCG: 1, Order: 1 });
    expect(nextMetrics([], [1, 2])).toMatchObject({ Recall: 0, Order: 0 });
  });
});

describe('a trained model continues', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  const split = splitDataset(ring(40, 12, 15).dataset, parseProtocol('last-n:n=4'));
  const settingsOf = (recipe: string, more = {}) =>
    small(
      { budget: '256', learningRate: '0.02', validateSteps: '40', dropout: '0', continuation: '4', ...more },
      recipe,
    );

  it.each(['sasrec', 'encoder-decoder'])('%s: the ring', async (recipe) => {
    const settings = settingsOf(recipe);
    const { files, result } = await run(device, split, settings, { epochs: 40 });
    expect(result.losses.at(-1)?.loss).toBeLessThan(0.5);
    const recommender = await Recommender.load(files, { device });
    const history = ['i9', 'i10', 'i11'];
    const answer = await recommender.generate(history, { steps: 4 });
    expect(answer.items.map(({ id }) => id)).toEqual(['i0', 'i1', 'i2', 'i3']);
    expect(answer.items[0].title).toBe('Item i0');
    expect(answer.logProbability).toBeGreaterThan(Math.log(0.3));
    const beam = await recommender.generate([...history, 'unknown'], { steps: 4, decode: 'beam', beams: 2 });
    expect(beam.beams?.[0].items.map(({ id }) => id)).toEqual(['i0', 'i1', 'i2', 'i3']);
    expect(beam.unknown).toEqual(['unknown']);
    const barred = await recommender.generate(history, { steps: 2, exclude: ['i0'] });
    expect(barred.items.map(({ id }) => id)).not.toContain('i0');
    await expect(recommender.generate(['nobody'], { steps: 2 })).rejects.toThrow('none of the 1 items');
    await expect(recommender.generate(history, { steps: 9 })).rejects.toThrow(/^`steps: 9`: this model/);
    // The first item is what recommend says, too.
    const { items } = await recommender.recommend({ history, k: 1 });
    expect(items[0].id).toBe('i0');
    recommender.close();

    const loaded = await loadModel(files);
    const model = SequenceModel.load(device, settings, split.items, loaded.tensors);
    const { users, generated, ranked } = await evaluateNext(model, split, { n: 4, split: 'test', includeSeen: true });
    const mean = (values: Float64Array) => values.reduce((a, b) => a + b) / values.length;
    expect(users.length).toBe(40);
    expect(mean(generated.Order)).toBeGreaterThan(0.95);
    expect(mean(ranked.Recall)).toBeLessThan(mean(generated.Recall));
    model.dispose();
  });

  it('encoder-decoder: the same bits again, also in debug mode', async () => {
    const settings = settingsOf('encoder-decoder', { dropout: '0.2', blocks: '1', decoder: '1' });
    await expectSameInDebugMode(device, async () => (await run(device, split, settings, { epochs: 4 })).result.losses);
  });
});
