/** Item transitions: their closed form, their part in the scorer, and a training with them from end to end. */
import { describe, expect, it } from 'vitest';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { Device } from '../../engine/index.ts';
import type { MemoryFiles } from '../../model/storage/files.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { commit, Snapshot } from '../../model/storage/manifest.ts';
import {
  DeviceTransitions,
  loadTransitions,
  MEMORY,
  type ItemTransitions,
  recency,
  saveTransitions,
  type TransitionSettings,
} from '../../model/transitions/transitions.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { ScoreQuery, ScorerOptions } from '../../model/inference/scored.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { countItems } from '../../train/baselines/baselines.ts';
import { easeWeights } from '../../train/baselines/ease.ts';
import { Stopped } from '../../train/loop/time-budget.ts';
import { seeded, shuffle } from '../../data/random.ts';
import { evaluate } from '../../train/evaluation/evaluate.ts';
import { describeBlend, fitBlend } from '../../train/stages/blend.ts';
import { chooseTransitions } from '../../train/transitions/choose.ts';
import { learnTransitions } from '../../train/transitions/learn.ts';
import { folderOf, small, splitOf } from './small.ts';
import { type StageOptions, trainStages } from './stages.ts';
import { openDevice } from '../device.ts';

/** Shoppers who walk round a ring of items, now and then two steps at a time; some have but one or two events. */
const walks = (users: number, items: number): Split =>
  splitOf(
    Array.from({ length: users }, (_, u) => {
      let at = (u * 5) % items;
      return Array.from({ length: u % 9 === 8 ? 1 + (u % 2) : 10 }, (_, i) => {
        const item = at;
        at = (at + ((u * 7 + i * 3) % 5 === 0 ? 2 : 1)) % items;
        return item;
      });
    }),
    items,
  );

/** W = (Σ x xᵀ + λI)⁻¹ Σ x e_yᵀ, example by example, by Gaussian elimination in doubles. */
function reference(split: Split, settings: Partial<TransitionSettings> & { last: number; lambda: number }): number[][] {
  const { last, lambda, power = 0.7, learningPower = power, backward = 0, firstOnly = false } = settings;
  const V = split.items;
  const a = Array.from({ length: V }, (_, i) => Array.from({ length: 2 * V }, (_, j) => (i === j ? lambda : 0)));
  const learn = (y: number | null, around: readonly number[], weight: number) => {
    const x = new Map<number, number>();
    around.slice(0, last).forEach((item, k) => x.set(item, (x.get(item) ?? 0) + (1 + k) ** -learningPower));
    for (const [i, xi] of x) {
      for (const [j, xj] of x) a[i][j] += weight * xi * xj;
      if (y !== null) a[i][V + y] += weight * xi;
    }
  };
  for (let u = 0; u < split.users; u++) {
    const events = Array.from(split.history(u, 'train'));
    events.forEach((item, t) => {
      const y = firstOnly && events.indexOf(item) < t ? null : item;
      learn(y, events.slice(0, t).reverse(), 1);
      learn(y, events.slice(t + 1), backward);
    });
  }
  for (let p = 0; p < V; p++) {
    const pivot = a[p][p];
    for (let j = 0; j < 2 * V; j++) a[p][j] /= pivot;
    for (let i = 0; i < V; i++) {
      const f = a[i][p];
      if (i !== p && f !== 0) for (let j = 0; j < 2 * V; j++) a[i][j] -= f * a[p][j];
    }
  }
  return a.map((row) => row.slice(V));
}

const dense = ({ rows }: ItemTransitions): number[][] => {
  const V = rows.starts.length - 1;
  return Array.from({ length: V }, (_, i) => {
    const row = new Array<number>(V).fill(0);
    for (let e = rows.starts[i]; e < rows.starts[i + 1]; e++) row[rows.columns[e]] = rows.values[e];
    return row;
  });
};

const settings = small({ validateUsers: '30' });

const train = (device: Device, split: Split, files: MemoryFiles, more: Partial<StageOptions> = {}) =>
  trainStages({ device, files, split, settings, epochs: 2, ...more });

describe.each(['webgpu', 'cpu'] as const)('on %s', async (backend) => {
  const device = await openDevice({ backend });

  it('is the ridge regression of the next item on the weighted history', async () => {
    const split = walks(60, 30);
    const options = { last: 5, power: 0.7, lambda: 3, kept: 30 };
    const wanted = reference(split, options);
    const holds = async (on: Split, method: 'exact' | 'neighbours', expected: number[][], by = options) => {
      const memory = await learnTransitions(device, on, { ...by, method });
      expect(memory.settings.method).toBe(method);
      dense(memory).forEach((row, i) => {
        row.forEach((w, j) => {
          expect(w, `${method} [${i},${j}]`).toBeCloseTo(expected[i][j], 4);
        });
      });
    };
    await holds(split, 'exact', wanted);
    // Where every item has come before every other, a regression on all predecessors is the whole one.
    const close = walks(60, 6);
    await holds(close, 'exact', reference(close, options));
    await holds(close, 'neighbours', reference(close, options));
    // Read backward, too, with first events alone as targets, and by another recency than the histories that are scored.
    const other = { ...options, learningPower: 0.3, backward: 0.4, firstOnly: true };
    await holds(split, 'exact', reference(split, other), other);
    await holds(close, 'neighbours', reference(close, other), other);
    const cut = await learnTransitions(device, split, { ...options, kept: 4 });
    const [row] = dense(cut);
    const largest = wanted[0].map(Math.abs).sort((a, b) => b - a);
    expect(
      row
        .filter((w) => w !== 0)
        .map(Math.abs)
        .sort((a, b) => b - a),
    ).toEqual(largest.slice(0, 4).map((w) => expect.closeTo(w, 4)));
  });

  it('ranks by the blend, by the transformer alone and by the transitions alone, in one tile or several', async () => {
    const split = walks(120, 4500);
    const memory = await learnTransitions(device, split, { lambda: 3, method: 'neighbours' });
    const model = SequenceModel.create(device, settings, split.items, 1);
    const narrow = await Device.open({ backend, maxBindingBytes: 4096 * 4 });
    const tiled = SequenceModel.create(narrow, settings, split.items, 1);
    const queries = Array.from({ length: 4 }, (_, u): ScoreQuery => {
      const history = split.history(u, 'valid');
      return { history, target: (u * 11 + 3) % 50, exclude: u % 3 === 0 ? history : undefined };
    });
    const score = async (on: SequenceModel, weight: number, more: Partial<ScorerOptions> = {}) => {
      const uploaded = new DeviceTransitions(on.device, memory);
      const weights = { memory: weight, epsilon: 0.01 };
      const scorer = new Scorer(on, { k: 10, blend: { transitions: uploaded, weights }, ...more });
      const scored = await scorer.score(queries);
      scorer.dispose();
      uploaded.dispose();
      return scored;
    };
    const plain = new Scorer(model, { k: 10 });
    const alone = (await plain.score(queries)).map((s) => s.rank);
    plain.dispose();
    const trials = [0, 0.5, 1e6].map((weight) => ({ memory: weight, epsilon: 0.01 }));
    const whole = await score(model, 0.5, { components: true, trials });
    expect(whole.map((s) => s.components?.transformer)).toEqual(alone);
    expect(whole.map((s) => s.trials?.[0])).toEqual(alone);
    expect(whole.map((s) => s.trials?.[1])).toEqual(whole.map((s) => s.rank));
    expect(whole.map((s) => s.rank)).not.toEqual(alone);
    // The transitions alone, by the stored rows: ties count against the target.
    const rows = dense(memory);
    const r = recency(memory.settings);
    whole.forEach((s, u) => {
      const { history, target = 0, exclude } = queries[u];
      if (exclude?.includes(target)) return expect(s.components?.transitions).toBe(0xffffffff);
      const m = Array.from({ length: split.items }, (_, j) =>
        Array.from(history)
          .reverse()
          .reduce((sum, item, k) => sum + (r[k] ?? 0) * rows[item][j], 0),
      );
      const free = m.filter((_, j) => !exclude?.includes(j));
      const above = (margin: number) => free.filter((x) => x > m[target] + margin).length + 1;
      const rank = s.components?.transitions ?? 0;
      expect(rank).toBeGreaterThanOrEqual(above(1e-6));
      expect(rank).toBeLessThanOrEqual(free.filter((x) => x >= m[target] - 1e-6).length);
    });
    const inTiles = await score(tiled, 0.5, { components: true, trials });
    inTiles.forEach((s, u) => {
      expect(Math.abs(s.rank - whole[u].rank)).toBeLessThanOrEqual(2);
      expect(s.components).toEqual(whole[u].components);
      expect(Array.from(s.scores)).toEqual(Array.from(whole[u].scores, (x) => expect.closeTo(x, 3)));
    });
    for (const m of [model, tiled]) m.dispose();
    narrow.close();
  });

  it('is learned, stored, blended and reported by a training', async () => {
    const split = walks(60, 12);
    const [files, again] = [await folderOf(split, settings), await folderOf(split, settings)];
    const result = await train(device, split, files);
    expect(result.reason).toBe('epochs');
    await train(device, split, again);
    const loaded = await loadModel(files);
    expect(loaded.weights.note).toBeNull();
    expect(loaded.blended?.blend).toEqual((await loadConfig(again)).blend);
    const stored = async (of: MemoryFiles) => (await Snapshot.open(of)).read(MEMORY);
    expect(await stored(files)).not.toBeNull();
    expect(await stored(files)).toEqual(await stored(again));
    const fitted = loaded.blended?.blend.fitted;
    expect(fitted?.blend['NDCG@10']).toBeGreaterThanOrEqual(fitted?.transformer['NDCG@10'] ?? 1);

    // What evaluate reports on the same users is what was fitted.
    const model = await RankingModel.load(device, loaded);
    const { metrics, parts: components } = await evaluate(model.encoder, split, {
      split: 'valid',
      includeSeen: true,
      blend: model.blend,
    });
    if (fitted?.users === 30) expect(Object.keys(components)).toEqual(['transformer', 'memory']);
    expect(metrics['HR@10']).toBeGreaterThan(0.5);
    model.dispose();

    // A finished training is left as it is; recommending takes short histories and skips unknown items.
    const config = async () => (await Snapshot.open(files)).read('config.json');
    const before = await config();
    expect((await train(device, split, files, { resume: true })).reason).toBe('finished before');
    expect(await config()).toEqual(before);
    const recommender = await Recommender.load(files, { device });
    const { items, unknown } = await recommender.recommend({ history: ['i3', 'nobody'], k: 5 });
    expect(unknown).toEqual(['nobody']);
    expect(items).toHaveLength(5);
    expect(items.every(({ score }, i) => Number.isFinite(score) && (i === 0 || score <= items[i - 1].score))).toBe(
      true,
    );
    recommender.close();

    const off = await folderOf(split, { ...settings, memory: 'off' });
    await train(device, split, off, { settings: { ...settings, memory: 'off' } });
    expect(await (await Snapshot.open(off)).has(MEMORY)).toBe(false);
    expect((await loadModel(off)).blended).toBeNull();
  });
});

/** Readers of one of four kinds of books, in any order: 20 to a kind, each reader's own 12 of them. */
const readers = splitOf(
  Array.from({ length: 160 }, (_, u) => {
    const random = seeded(7, u);
    const kind = Array.from({ length: 20 }, (_, i) => (u % 4) * 20 + i);
    return shuffle(kind, random).slice(0, 12);
  }),
  80,
);

it('learns from the log how much order counts, and how much what was long ago', async () => {
  const device = await Device.open({ backend: 'cpu' });
  const every = (split: Split) =>
    Uint32Array.from({ length: split.users }, (_, u) => u).filter((u) => split.validTarget(u) >= 0);
  const choice = async (split: Split) => {
    const users = every(split);
    return (await chooseTransitions(device, split, { users, seen: 'excluded' })).settings;
  };
  const [walk, reader] = [await choice(walks(160, 80)), await choice(readers)];
  expect(walk.power).toBeGreaterThan(reader.power);
  expect(reader.power).toBeLessThan(0.7);
  expect(await choice(readers)).toEqual(reader);

  // What was chosen, learned by its settings alone, is the same: a training on all events repeats it.
  const chosen = await chooseTransitions(device, readers, { users: every(readers), seen: 'excluded' });
  expect(await learnTransitions(device, readers, chosen.settings)).toEqual(chosen);
  // Without validation targets, nothing is tried.
  const untried = await chooseTransitions(device, readers, { users: new Uint32Array(0), seen: 'kept' });
  expect(untried.settings).toMatchObject({ power: untried.settings.learningPower, firstOnly: false, damping: 0 });
  device.close();
});

it('an order-free model is EASE, whatever the order of a history', async () => {
  const device = await Device.open({ backend: 'cpu' });
  const backward = splitOf(
    Array.from({ length: readers.users }, (_, u) => {
      const all = Array.from(readers.history(u, 'test')).concat(Array.from(readers.targets(u, 'test')));
      return [...all.slice(0, -2).reverse(), ...all.slice(-2)];
    }),
    80,
  );
  const options = { orderFree: true, lambda: 20, last: 200, kept: 80 };
  const [one, other] = [
    await learnTransitions(device, readers, options),
    await learnTransitions(device, backward, options),
  ];
  expect(one.settings).toMatchObject({ method: 'exact', orderFree: true, last: 200 });
  const wanted = await easeWeights(device, readers, 20);
  // Rows of a dataset are in the order in which items come: those of the other log go by the rows of the first as IDs.
  const rowOf = new Map(Array.from(backward.dataset.itemIds, (id, row) => [id, row]));
  const at = Array.from({ length: 80 }, (_, i) => rowOf.get(`i${i}`) as number);
  const [ordered, reversed] = [dense(one), dense(other)];
  for (let i = 0; i < 80; i++) {
    for (let j = 0; j < 80; j++) {
      expect(ordered[i][j]).toBeCloseTo(wanted[i * 80 + j], 5);
      expect(reversed[at[i]][at[j]]).toBeCloseTo(wanted[i * 80 + j], 5);
    }
  }
  const cut = await learnTransitions(device, readers, { ...options, kept: 7 });
  expect(cut.rows.columns).toHaveLength(80 * 7);
  device.close();
});

it('the blend reaches either end: the transformer alone, and the transitions alone', async () => {
  const device = await Device.open({ backend: 'cpu' });
  const users = Uint32Array.from({ length: readers.users }, (_, u) => u).filter((u) => readers.validTarget(u) >= 0);
  const model = SequenceModel.create(device, settings, readers.items, 1);
  const blendWith = async (learned: ItemTransitions) => {
    const uploaded = new DeviceTransitions(device, learned);
    const blend = await fitBlend(model, uploaded, readers, { users });
    uploaded.dispose();
    return blend;
  };
  const learned = await learnTransitions(device, readers, { orderFree: true, lambda: 20 });
  // The encoder has not been trained: it is noise, which no weight of it may add to the scores.
  const good = await blendWith(learned);
  expect(good.fitted?.memory['NDCG@10']).toBeGreaterThan(2 * (good.fitted?.transformer['NDCG@10'] ?? 1));
  const chosenBy = (metrics: Record<string, number> = {}) => metrics['NDCG@10'] + metrics['NDCG@50'];
  expect(chosenBy(good.fitted?.blend)).toBeGreaterThanOrEqual(chosenBy(good.fitted?.memory) - 1e-9);
  // Nothing leads anywhere: the transformer alone, bit for bit.
  const none = await blendWith({ ...learned, rows: { ...learned.rows, values: learned.rows.values.map(() => 0) } });
  expect(none.memory).toBe(0);
  expect(none.fitted?.blend).toEqual(none.fitted?.transformer);

  expect(describeBlend({ memory: 0, epsilon: 1 })).toMatch(/^The item transitions do not help/);
  expect(describeBlend({ memory: 1, epsilon: 1 })).toBeNull();
  expect(describeBlend({ memory: 1000, epsilon: 1 })).toMatch(/^The transformer does not help/);
  model.dispose();
  device.close();
});

it('divides by popularity to a power, as its settings say', async () => {
  const device = await Device.open({ backend: 'cpu' });
  const split = walks(60, 12);
  const [plain, damped] = [
    await learnTransitions(device, split),
    await learnTransitions(device, split, { damping: 0.5 }),
  ];
  const counts = countItems(split);
  const ratios = Array.from(
    plain.rows.values,
    (x, e) => (damped.rows.values[e] / x) * Math.sqrt(counts[plain.rows.columns[e]]),
  );
  for (const ratio of ratios) expect(ratio).toBeCloseTo(ratios[0], 4);
  expect(ratios.length).toBeGreaterThan(100);
  device.close();
});

it('time that is up ends the search, with what was found so far', async () => {
  const device = await Device.open({ backend: 'cpu' });
  const users = Uint32Array.of(0, 1, 2);
  const until = (share: number, reason: 'time' | 'interrupted') =>
    chooseTransitions(device, readers, {
      users,
      seen: 'excluded',
      pause: async (done) => {
        if (done > share) throw new Stopped(reason);
      },
    });
  const first = await chooseTransitions(device, readers, { users: new Uint32Array(0), seen: 'excluded' });
  expect((await until(0.2, 'time')).settings.lambda).toBe(first.settings.lambda);
  await expect(until(0.01, 'time')).rejects.toThrow(Stopped);
  await expect(until(0.5, 'interrupted')).rejects.toThrow(Stopped);
  device.close();
});

it('a folder without its transitions, or with a damaged one, says so in one line', async () => {
  const split = walks(20, 6);
  const device = await Device.open({ backend: 'cpu' });
  const files = await folderOf(split, settings);
  await train(device, split, files, { epochs: 1 });
  const bytes = (await (await Snapshot.open(files)).read(MEMORY)) as Uint8Array;
  await commit(files, { [MEMORY]: bytes.subarray(0, bytes.length - 8) });
  await expect(loadModel(files)).rejects.toThrow(/memory-\d+\.safetensors: cut short/);
  await commit(files, { [MEMORY]: null });
  await expect(loadModel(files)).rejects.toThrow(/there is no memory\.safetensors/);
  const other = await learnTransitions(device, walks(20, 5));
  await saveTransitions(files, other);
  await expect(loadTransitions(files, 6)).rejects.toThrow(/tensor rowStarts: expected U32 \[7\], got U32 \[6\]/);
  device.close();
});

it('takes a catalog of one item, and users with one event', async () => {
  const device = await Device.open({ backend: 'cpu' });
  const memory = await learnTransitions(device, walks(9, 1));
  expect(dense(memory)[0][0]).toBeGreaterThan(0);
  const single = await learnTransitions(device, splitDataset(walks(9, 4).dataset), { method: 'neighbours' });
  expect(single.rows.starts).toHaveLength(5);
  device.close();
});
