/** A model that reads user features and event context: it learns what only they tell, and has the gradients of its loss. */
import { describe, expect, it } from 'vitest';
import { inferSchema } from '../../data/features/schema.ts';
import { inferEvents, SideFeatureEncoder } from '../../data/features/event-encoder.ts';
import { SideFeatures } from '../../data/features/side-features.ts';
import type { Split } from '../../data/splits/split.ts';
import { Device } from '../../engine/index.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import {
  groupScores,
  logPopularity,
  segmentPriorScores,
  priorWeight,
  type SegmentPrior,
} from '../../model/transitions/segment-prior.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { evaluate } from '../../train/evaluation/evaluate.ts';
import { trainModel } from '../../train/train-model.ts';
import { countGroups, fitSegmentPrior } from '../../train/stages/segment-prior.ts';
import { run, small, splitOf } from './small.ts';
import { openDevice } from '../device.ts';

const ITEMS = 12;

/** Shoppers on a ring of items: which way they go hangs on who they are, and how far on how they liked the last item. */
function walks(users = 48, length = 14): Split {
  const rating: number[] = [];
  const histories = Array.from({ length: users }, (_, u) => {
    let at = (u * 5) % ITEMS;
    return Array.from({ length }, (_, i) => {
      const stars = (u * 7 + i * i * 3 + i) % 3 === 0 ? 5 : 2;
      rating.push(stars);
      const item = at;
      at = (at + (u % 2 === 0 ? 1 : -1) * (stars === 5 ? 1 : 3) + ITEMS) % ITEMS;
      return item;
    });
  });
  return splitOf(histories, ITEMS, { rating: Float64Array.from(rating) });
}

const people = (split: Split) =>
  new Map(split.dataset.userIds.map((id, u) => [id, { way: u % 2 === 0 ? 'up' : 'down', city: `c${u % 3}` }]));

function withSideFeatures(split: Split): Split {
  const users = people(split);
  const rows = [...users].map(([id, attributes]) => ({ id, title: '', attributes }));
  const events = inferEvents(split.dataset, ['rating'], 'walks');
  return split.withSide(
    new SideFeatures(new SideFeatureEncoder({ users: inferSchema(rows), events }), split.dataset, users),
  );
}

describe('a model that reads users and events', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  it('learns what items alone do not tell', async () => {
    const settings = small({ dropout: '0', sideDropout: '0' });
    const plain = await run(device, walks(), settings, { epochs: 40 });
    const split = withSideFeatures(walks());
    const { result, files } = await run(device, split, settings, { epochs: 40 });
    expect(result.bestNdcg).toBeGreaterThan(0.93);
    expect(plain.result.bestNdcg ?? 1).toBeLessThan(0.9);
    // What it learned is loaded, and hangs on what is said of the users.
    const { tensors } = await loadModel(files);
    const model = SequenceModel.load(device, settings, ITEMS, tensors);
    const asked = { split: 'test', includeSeen: true } as const;
    const known = (await evaluate(model, split, asked)).metrics['NDCG@10'];
    expect(known).toBeGreaterThan(0.9);
    const turned = new Map([...people(split)].map(([id, { way }]) => [id, { way: way === 'up' ? 'down' : 'up' }]));
    const reversed = split.withSide(new SideFeatures(split.side?.encoder as SideFeatureEncoder, split.dataset, turned));
    expect((await evaluate(model, reversed, asked)).metrics['NDCG@10']).toBeLessThan(known - 0.2);
    model.dispose();
  });

  it('is trained from a program, too', async () => {
    const events = Array.from({ length: 240 }, (_, i) => {
      const u = i % 24;
      const context = { shop: i % 2 ? 'web' : 'town' };
      return {
        user: `u${u}`,
        item: `i${(u * 5 + Math.floor(i / 24) * 2 + (u % 2)) % 16}`,
        rating: 1 + (i % 5),
        context,
      };
    });
    const people = Array.from({ length: 24 }, (_, u) => ({
      id: `u${u}`,
      attributes: { area: u % 2 ? 'south' : 'north' },
    }));
    const settings = { d: 8, ff: 16, blocks: 1, window: 8, budget: 64 };
    const asked = {
      users: people,
      reads: ['rating', 'shop'],
      recipe: 'sasrec',
      settings,
      epochs: 2,
      device: 'cpu',
    } as const;
    const { files } = await trainModel(events, { ...asked, minInteractions: 1 });
    const recommender = await Recommender.load(files, { backend: 'cpu' });
    expect(recommender.loaded.config.schema.events?.map(({ name }) => name)).toEqual(['rating', 'shop']);
    const given = { user: { area: 'north' }, ratings: [5], context: { shop: ['web'] } };
    expect((await recommender.recommend({ history: ['i0'], ...given })).unseen).toEqual({});
    expect((await recommender.recommend({ history: [], user: { area: 'north' } })).items).toHaveLength(8);
    recommender.close();
    await expect(trainModel(events, { ...asked, reads: ['gap'] })).rejects.toThrow('has no times');
    await expect(trainModel(events, { ...asked, recipe: 'bert4rec' })).rejects.toThrow('causal');
  });

  it('one seed gives one result', async () => {
    const once = async () => {
      const { files } = await run(device, withSideFeatures(walks()), small(), { epochs: 2 });
      return (await loadModel(files)).tensors.get('side.weight')?.data;
    };
    expect(await once()).toEqual(await once());
  });
});

describe('what groups of users like', async () => {
  const split = withSideFeatures(walks());
  const counts = await countGroups(split);
  const bag = (u: number) => {
    const row = split.side?.userRow(u);
    return Array.from(row?.columns ?? [], (column, e): [number, number] => [column, row?.values[e] ?? 0]);
  };

  it('counts the training events of each group', () => {
    const total = counts.items.reduce((sum, count) => sum + count, 0);
    let events = 0;
    for (let u = 0; u < split.users; u++) events += split.trainLength(u);
    expect(total).toBe(events);
    const [[all]] = bag(0);
    expect(counts.values.subarray(counts.starts[all], counts.starts[all + 1]).reduce((a, b) => a + b, 0)).toBe(events);
  });

  it('is popularity where nothing is known, and shrunk toward it where little is', () => {
    const made = { items: Float32Array.of(8, 4, 0), starts: Uint32Array.of(0, 2), columns: Uint32Array.of(1, 2) };
    const toy = { ...made, values: Float32Array.of(4, 0) };
    const settings = { shrinkage: 100, strength: 1, weights: [], fitted: { users: 0, popularity: 0, groups: 0 } };
    const prior: SegmentPrior = { counts: toy, settings };
    expect(segmentPriorScores(prior, [])).toEqual(logPopularity(toy.items));
    const order = (scores: Float32Array) => [0, 1, 2].sort((a, b) => scores[b] - scores[a]);
    expect(order(segmentPriorScores(prior, [[0, 1]]))).toEqual([0, 1, 2]);
    const strong = { ...prior, settings: { ...settings, shrinkage: 0.5 } };
    expect(order(segmentPriorScores(strong, [[0, 1]]))).toEqual([1, 0, 2]);
    // One's own events do not count; an item added since has no events.
    expect(groupScores(toy, logPopularity(toy.items), [[0, 1]], 1, new Map([[1, 4]]))[1]).toBe(0);
    expect(segmentPriorScores(prior, [[0, 1]], 5)).toHaveLength(5);
  });

  it('weighs less the more is known', () => {
    const weights: [number, number][] = [
      [1, 0.4],
      [4, 0.1],
    ];
    expect([0, 1, 2, 4, 8, 100].map((n) => Number(priorWeight(weights, n).toFixed(3)))).toEqual([
      1, 0.4, 0.25, 0.1, 0, 0,
    ]);
    expect(priorWeight([], 1)).toBe(0);
  });

  it('is fitted with a model', async () => {
    const device = await Device.open({ backend: 'cpu' });
    const rows = split.side?.encoder.rows;
    const model = SequenceModel.create(device, small(), ITEMS, 1, { side: rows });
    const users = Uint32Array.from({ length: 16 }, (_, u) => u);
    const { settings } = await fitSegmentPrior(model, split, users, null);
    expect(settings.fitted.groups).toBeGreaterThanOrEqual(settings.fitted.popularity);
    expect(settings.weights.map(([n]) => n)).toEqual([1, 2, 4, 8]);
    const falling = settings.weights.every(([, weight], i, all) => i === 0 || weight <= all[i - 1][1]);
    expect(falling).toBe(true);
    model.dispose();
    device.close();
  });
});
