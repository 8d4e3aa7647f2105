/** The second stage: its batches, its place behind the first, and a training with it from end to end. */
import { describe, expect, it } from 'vitest';
import { batches } from '../../data/batching/batches.ts';
import type { Split } from '../../data/splits/split.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { commit, Snapshot } from '../../model/storage/manifest.ts';
import { Ranker } from '../../model/ranker/ranker.ts';
import { RANKER_FILE, rankerOf, rankerShapeOf, type StoredRanker } from '../../model/ranker/store.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { Reranker } from '../../model/ranker/reranker.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { orderBy, rankBy, TwoStages } from '../../model/ranker/two-stages.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { countItems } from '../../train/baselines/baselines.ts';
import { splitQuery } from '../../model/inference/query.ts';
import { evaluate } from '../../train/evaluation/evaluate.ts';
import { RankerFeed } from '../../train/stages/ranker-feed.ts';
import { cpu, gpu as device } from '../kernels/devices.ts';
import { folderOf, smallRanker, splitOf } from './small.ts';
import { trainStages } from './stages.ts';

/** What comes next follows from the item before the last one, which an encoder that is hardly trained does not know. */
const echoes = (users: number, items: number): Split =>
  splitOf(
    Array.from({ length: users }, (_, u) => {
      let [a, b] = [(u * 7) % items, (u * 11 + 3) % items];
      return Array.from({ length: 12 }, () => {
        const item = a;
        [a, b] = [b, (a + 5) % items];
        return item;
      });
    }),
    items,
  );

const settings = smallRanker({ rankerCandidates: '12', rankerNegatives: '5', rankerValidate: '30' });

describe('batches of the ranker', () => {
  it('a candidate reads its history to its position, and a state is read by the candidates from it on', () => {
    const split = echoes(30, 20);
    const feed = new RankerFeed(cpu, settings, countItems(split), {}, { attributes: null, base: split.items });
    const [batch] = batches(split, { maxTokens: 128, window: 8, seed: 1, epoch: 0 });
    feed.take(batch, 1, 1);
    const best = new Uint32Array(feed.chosen.size * 20).map((_, i) => i % 20);
    const count = feed.draw(best, 20);
    expect(count).toBeGreaterThan(4);
    const host = (feed as unknown as { lists: { host: Record<string, Uint32Array> } }).lists.host;
    for (let q = 0; q < count * 6; q++) {
      const t = host.at[q];
      expect([host.start[q], host.end[q]]).toEqual([batch.start[t], t + 1]);
      expect(host.positions[q]).toBe(t - batch.start[t]);
      const before = batch.items.subarray(batch.start[t], t + 1);
      if (q % 6 === 0) expect(host.candidates[q]).toBe(batch.targets[t]);
      else {
        expect(host.candidates[q]).not.toBe(batch.targets[t]);
        expect(before).not.toContain(host.candidates[q]);
      }
    }
    for (let j = 0; j < batch.tokens; j++) {
      const readers = Array.from({ length: count * 6 }, (_, q) => q).filter(
        (q) => host.start[q] <= j && j < host.end[q],
      );
      const range = Array.from({ length: host.to[j] - host.from[j] }, (_, i) => host.from[j] + i);
      expect(range, `state ${j}`).toEqual(readers);
    }
    feed.dispose();
  });

  it('a position whose next item the first stage does not retrieve is left out', () => {
    const split = echoes(30, 20);
    const feed = new RankerFeed(cpu, settings, countItems(split), {}, { attributes: null, base: split.items });
    const [batch] = batches(split, { maxTokens: 128, window: 8, seed: 1, epoch: 0 });
    feed.take(batch, 1, 1);
    const wanted = batch.targets.filter((item, i) => i < batch.tokens && item >= 12).length;
    const best = new Uint32Array(feed.chosen.size * 8).map((_, i) => 12 + (i % 8));
    expect(feed.draw(best, 8)).toBeLessThanOrEqual(wanted);
    feed.dispose();
  });
});

describe('two stages', () => {
  it('ranks count ties against the target, and beyond the candidates the first stage decides', () => {
    const items = Uint32Array.of(7, 3, 5, 1);
    expect([...orderBy(Float32Array.of(1, 2, 2))]).toEqual([1, 2, 0]);
    expect(rankBy(items, [1, 2, 2], 5, 3)).toBe(2);
    expect(rankBy(items, [1, 2, 2], 7, 1)).toBe(3);
    expect(rankBy(items, [1, 2, 2], 1, 4)).toBe(4);
    expect(rankBy(items, [1, 2, 2], 9, 17)).toBe(17);
  });

  it('scores the same on every device, and keeps the order of the first stage with a weight of 0', async () => {
    const logits: number[][] = [];
    const history = Uint32Array.of(3, 9, 4, 11, 2, 8, 1, 6, 10);
    const queries = [{ history: history.subarray(0, 2) }, { history }, { history: history.subarray(3) }];
    for (const on of [device, cpu]) {
      const model = SequenceModel.create(on, settings, 20, 3);
      const ranker = new Ranker(on, rankerShapeOf(settings), {
        items: 20,
        known: 20,
        attributes: null,
        own: null,
        table: await model.itemTable(),
        seed: 5,
      });
      // It begins with nothing to add to the encoder's scores: as if it had been trained.
      const weights = await ranker.parameters.read();
      weights.get('sought.weight')?.forEach((_, i, all) => (all[i] = Math.sin(i)));
      ranker.parameters.load('params', weights);
      const reranker = new Reranker(model, ranker, 4);
      const wide = new Reranker(model, ranker, 12);
      const candidates = Uint32Array.of(19, 0, 5);
      const all = await reranker.logits(queries.map((q) => ({ ...q, candidates })));
      logits.push(all.flatMap((one) => [...one.logits]));
      const first = await new TwoStages(model, { ranker, weight: 0 }, { k: 20 }).score(queries);
      const both = await new TwoStages(model, { ranker, weight: 1e6 }, { k: 20 }).score(queries);
      for (const [i, { stages, items, scores, probabilities }] of first.entries()) {
        expect([...items]).toEqual([...(stages?.retrieval.items ?? [])]);
        expect([...scores].every((s, n) => n === 0 || s <= scores[n - 1])).toBe(true);
        expect(probabilities?.every((p) => p > 0 && p < 1)).toBe(true);
        // By what the ranker adds, in front; the rest of the catalog as it was.
        const listed = { ...queries[i], candidates: items.subarray(0, 12) };
        const [{ added }] = await wide.logits([listed]);
        expect([...both[i].items.subarray(0, 12)]).toEqual(Array.from(orderBy(added), (c) => items[c]));
        expect([...both[i].items.subarray(12)]).toEqual([...items.subarray(12)]);
      }
    }
    logits[0].forEach((x, i) => {
      expect(x).toBeCloseTo(logits[1][i], 4);
    });
  });
});

describe('a training with a ranker', () => {
  const split = echoes(60, 20);
  const options = { split, settings, epochs: 1 };

  it('orders what the first stage cannot, is stored, judged and used; the same seed gives the same bits', async () => {
    const files = await folderOf(split, settings);
    await trainStages({ ...options, device, files });
    const loaded = await loadModel(files);
    const stages = loaded.ranker?.stages ?? expect.fail('no ranker');
    expect(stages.weight).toBeGreaterThan(0);
    expect(stages.fitted.both['NDCG@10']).toBeGreaterThan(stages.fitted.retrieval['NDCG@10'] + 0.1);

    const model = SequenceModel.load(device, settings, split.items, loaded.tensors);
    const ranker = rankerOf(device, loaded.ranker as StoredRanker, { settings, ...loaded });
    const judging = { split: 'valid', includeSeen: true, second: { ranker, weight: stages.weight } } as const;
    const judged = await evaluate(model, split, judging);
    expect(judged.metrics['NDCG@10']).toBeCloseTo(stages.fitted.both['NDCG@10'], 6);
    expect(judged.parts.retrieval['NDCG@10']).toBeCloseTo(stages.fitted.retrieval['NDCG@10'], 6);
    expect(judged.parts.ranker['NDCG@10']).toBeCloseTo(stages.fitted.ranker['NDCG@10'], 6);
    expect(judged.cost?.ranker).toBeGreaterThan(0);

    // The segment prior joins the first stage, for the users who have it.
    const bias = new Float32Array(split.items).fill(50, 2, 3);
    const lists = new Map<number, Uint32Array>();
    const aided = await evaluate(model, split, {
      ...judging,
      prior: (u) => (u === 3 ? bias : null),
      onUser: (u, _targets, _ranks, { items }) => lists.set(u, items),
    });
    expect(aided.withPrior).toBe(1);
    expect(judged.metrics).toMatchObject(aided.parts.withoutPrior);
    expect(aided.parts.retrieval).toEqual(judged.parts.retrieval);
    const served = new TwoStages(model, judging.second, { k: 10, bias });
    const [list] = await served.score([splitQuery(split, 3, 'valid', model.settings.window)]);
    served.dispose();
    expect(lists.get(3)).toEqual(list.items);
    expect(list.items[0]).toBe(2);
    model.dispose();
    ranker.dispose();

    const recommender = await Recommender.load(files, { device });
    const { items } = await recommender.recommend({ history: ['i1', 'i2', 'i6'], k: 5 });
    expect(items.every(({ probability }) => probability !== undefined && probability > 0)).toBe(true);
    recommender.close();

    // The ranker alone, once more on top of the same model.
    const stored = async () => (await Snapshot.open(files)).read(RANKER_FILE);
    const before = await stored();
    await trainStages({ ...options, device, files, rankerOnly: true });
    expect(await stored()).toEqual(before);

    const other = await folderOf(split, settings);
    const weights = (await (await Snapshot.open(files)).read('model.safetensors')) as Uint8Array;
    await commit(other, { 'model.safetensors': weights, [RANKER_FILE]: (before as Uint8Array).subarray(0, 200) });
    await expect(loadModel(other)).rejects.toThrow(/ranker-\d+\.safetensors: cut short/);
  });

  it('bce trains, too', async () => {
    const files = await folderOf(split, settings);
    const bce: Settings = { ...settings, rankerLoss: 'bce' };
    await trainStages({ ...options, settings: bce, device, files });
    const { fitted } = (await loadModel(files)).ranker?.stages ?? expect.fail('no ranker');
    expect(fitted.both['NDCG@10']).toBeGreaterThan(fitted.retrieval['NDCG@10'] + 0.1);
  });

  it('settings that make no ranker are refused in one line', () => {
    const fails = (set: Record<string, string>) => () => settingsFor('sasrec', set);
    expect(fails({ rankerCandidates: '129' })).toThrow(
      '`settings.rankerCandidates: 129`: expected an integer from 2 to 128',
    );
    expect(fails({ rankerLoss: 'hinge' })).toThrow('`settings.rankerLoss: hinge`: expected bce or softmax');
    expect(fails({ rankerItems: 'titles' })).toThrow('`settings.rankerItems: titles`: expected attributes or ids');
    expect(fails({ rankerMutual: 'yes' })).toThrow('`settings.rankerMutual: yes`: expected on or off');
    expect(fails({ rankerEncoder: 'new' })).toThrow('`settings.rankerEncoder: new`: expected frozen or own');
    expect(fails({ rankerHeads: '3' })).toThrow('`settings.rankerHeads: 3`: the width of a head');
    expect(() => settingsFor('bert4rec', { ranker: 'on' })).toThrow(
      '`settings.ranker: on`: requires `settings.direction: causal`',
    );
  });
});
