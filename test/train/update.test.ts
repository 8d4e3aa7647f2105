/** Updates from a program: what is new is learned, what was there stays, and the old model is only read. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { mergeLogs } from '../../data/merge.ts';
import { Recommender } from '../../recommend/recommender.ts';
import {
  finalPlan,
  logOf,
  planUpdate,
  resumePlan,
  runPlan,
  type TrainedModel,
  type TrainingEvent,
  trainModel,
  updateModel,
} from '../../train/index.ts';
import { startTensors } from '../../train/update/start-rows.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const device = await openDevice({ backend: 'cpu' });
const settings = {
  ...set('d=16 ff=32 blocks=1 window=8 budget=256 learningRate=0.02 validateSteps=8 dropout=0.1 ema=0'),
};
const ITEMS = 12;

/** Shoppers who walk round a ring of items, `step` items at a time, from `from` on. */
const walk = (users: readonly string[], from: number, length: number, step: number, names = ring): TrainingEvent[] =>
  users.flatMap((user, u) =>
    Array.from({ length }, (_, t) => ({
      user,
      item: names[(u * 5 + step * (t + from) + 100 * names.length) % names.length],
      time: (from + t) * 1000 + u,
    })),
  );
const ring = Array.from({ length: ITEMS }, (_, i) => `i${i}`);
const grown = [...ring, 'new0', 'new1', 'new2'];
const users = (n: number, prefix: string): string[] => Array.from({ length: n }, (_, u) => `${prefix}${u}`);

const old = walk(users(60, 'u'), 0, 12, 1);
/** Half of the users, and users who come now, walk the other way, with new items on the ring. */
const added = walk([...users(30, 'u'), ...users(30, 'v')], 12, 12, -1, grown);

const bytesOf = async (files: Files): Promise<Record<string, string>> =>
  Object.fromEntries(
    await Promise.all(
      (await files.list()).map(async (name) => [name, Buffer.from((await files.read(name)) ?? []).toString('base64')]),
    ),
  );
const first = async (files: Files, history: string[]): Promise<string> => {
  const recommender = await Recommender.load(files, { device });
  try {
    return (await recommender.recommend({ history, k: 1, includeSeen: true })).items[0].id;
  } finally {
    recommender.close();
  }
};
const shared = { device, minInteractions: 1, includeSeen: true, recipe: 'sasrec' };

describe('updateModel', () => {
  let model: TrainedModel;
  let updated: TrainedModel;
  let before: Record<string, string>;

  beforeAll(async () => {
    model = await trainModel(old, { ...shared, settings, epochs: 12 });
    before = await bytesOf(model.files);
    updated = await updateModel(model.files, old, added, { device, learningRate: 0.01, epochs: 30 });
  });

  it('leaves the old model as it was, byte for byte', async () => {
    expect(await bytesOf(model.files)).toEqual(before);
  });

  it('learns the new order, with items and users that the old model did not know', async () => {
    expect(await first(model.files, ['i4', 'i5', 'i6'])).toBe('i7');
    expect(await first(updated.files, ['i6', 'i5', 'i4'])).toBe('i3');
    expect(await first(updated.files, ['new2', 'new1'])).toBe('new0');
    expect(updated.config.update).toMatchObject({ generation: 1, events: added.length, users: 30, items: 3 });
    const { items } = await loadModel(updated.files);
    expect(items.map(({ id }) => id)).toEqual(expect.arrayContaining(grown));
    // Rows of known items stay where they were.
    expect(items.slice(0, ITEMS).map(({ id }) => id)).toEqual((await loadModel(model.files)).items.map(({ id }) => id));
  });

  it('the item table learns faster than all other weights', async () => {
    const { settings: own, warm } = await planUpdate(model.files, source(old, added));
    expect([own.learningRate, warm?.tableRate]).toEqual([0.01, 6]);
    const [from, to] = [(await loadModel(model.files)).tensors, (await loadModel(updated.files)).tensors];
    const moved = (name: string): number => {
      const data = to.get(name)?.data ?? [];
      return Math.max(...Array.from(from.get(name)?.data ?? [], (x, i) => Math.abs(x - data[i])));
    };
    const others = Math.max(...[...from.keys()].filter((name) => name !== 'items.weight').map(moved));
    expect(others).toBeGreaterThan(0);
    expect(moved('items.weight')).toBeGreaterThan(1.5 * others);
  });

  it('a table by row-wise Adagrad learns as all weights do', async () => {
    const adagrad = {
      ...set('d=16 ff=32 blocks=1 window=8 budget=256 learningRate=0.02'),
      ...set('loss=sampled-softmax negatives=4 tableOptimizer=adagrad'),
    };
    const { files } = await trainModel(old, { ...shared, settings: adagrad, epochs: 1 });
    const { settings: own, warm } = await planUpdate(files, source(old, added));
    expect([own.learningRate, warm?.tableRate]).toEqual([0.01, 1]);
  });

  it('keeps the settings of the training for the next update', async () => {
    expect(updated.config.hyperparameters).toEqual(model.config.hyperparameters);
    const again = await planUpdate(updated.files, source(old.concat(added), walk(['u1'], 30, 4, 1)));
    expect(again.config.update).toMatchObject({ generation: 2, events: 4, users: 0, items: 0 });
  });

  it('never keeps weights that are worse on validation than those it started from', async () => {
    const wild = await updateModel(model.files, old, added, { device, learningRate: 1, epochs: 2 });
    expect(wild.result.bestStep).toBe(0);
    expect(wild.result.validations[0].metrics['NDCG@10']).toBe(wild.result.bestNdcg);
  });

  it('takes the events beyond those of the training record as new where the log has grown in place', async () => {
    const plan = await planUpdate(model.files, { log: logOf(old.concat(added), 'log'), name: 'log' });
    expect(plan.config.update).toMatchObject({ events: added.length, users: 30, items: 3 });
  });

  it('updates a model on all events without validation, with its blend', async () => {
    const all = await runPlan(await finalPlan(model.files, { log: logOf(old, 'log'), name: 'log' }), {
      device,
      files: new MemoryFiles('final'),
    });
    const plan = await planUpdate(all.files, source(old, added));
    expect([plan.config.protocol, plan.epochs, plan.validationUsers.length]).toEqual(['final', 2, 0]);
    const { blend } = plan.chosen ?? {};
    expect(blend?.memory).toBe(all.config.blend?.memory);
    const next = await runPlan(plan, { device, files: new MemoryFiles('next') });
    expect(next.result).toMatchObject({ reason: 'epochs', epoch: 2 });
    expect((await loadModel(next.files)).blended?.blend.memory).toBe(all.config.blend?.memory);
  });

  it('refuses what it cannot do in one line', async () => {
    await expect(updateModel(model.files, old, old.slice(0, 5), { device })).rejects.toThrow(
      /^events: no event that memory|no event that model has not seen; there is nothing to learn$/,
    );
    await expect(updateModel(model.files, old, added, { device, replay: -1 })).rejects.toThrow(/number >= 0, got -1/);
    await expect(updateModel(model.files, old, added, { device, learningRate: 0 })).rejects.toThrow(
      /number > 0, got 0/,
    );
    const log = { log: logOf(old, 'log'), name: 'log' };
    await expect(resumePlan(updated.files, log)).rejects.toThrow(/an update is not continued/);
    await expect(finalPlan(updated.files, log)).rejects.toThrow(/made by an update/);
  });
});

/** Both logs as a plan takes them. */
const source = (log: TrainingEvent[], more: TrainingEvent[]) => ({
  log: mergeLogs(logOf(log, 'log'), logOf(more, 'new')),
  name: 'log',
});

it('new rows start from the neighbors of their events, else from similar items, else from the mean', async () => {
  const model = await trainModel(old, { ...shared, settings, epochs: 1 });
  const { tensors, items } = await loadModel(model.files);
  const table = tensors.get('items.weight');
  if (!table) throw new Error('no table');
  const row = (v: number) => Array.from(table.data.slice(16 * v, 16 * v + 16) as Float32Array);
  const alone = [
    { user: 'w', item: 'i1', time: 1 },
    { user: 'w', item: 'near', time: 2 },
    { user: 'w', item: 'held', time: 3 },
  ];
  const { split, settings: own } = await planUpdate(
    model.files,
    source(old, alone.concat([{ user: 'w', item: 'i1', time: 9 }])),
  );
  const described = split.dataset.itemIds.map((id) => ({
    id,
    title: id,
    attributes: { kind: id === 'held' || id === 'i3' ? 'rare' : `of ${id}` },
  }));
  const of = (with_: typeof described) => {
    const { data, shape } = startTensors(tensors, split, with_, own).get('items.weight') ?? table;
    expect(shape).toEqual([items.length + 2, 16]);
    expect(Array.from(data.slice(0, table.data.length))).toEqual(Array.from(table.data));
    return (id: string) => {
      const v = split.dataset.itemIds.indexOf(id);
      return Array.from(data.slice(16 * v, 16 * v + 16) as Float32Array);
    };
  };
  const rowIn = (id: string) => row(items.findIndex((item) => item.id === id));
  const plain = of(described.map((item) => ({ ...item, attributes: {} as never })));
  expect(plain('near')).toEqual(rowIn('i1'));
  const mean = Array.from({ length: 16 }, (_, c) => items.reduce((sum, _, v) => sum + row(v)[c] / items.length, 0));
  plain('held').forEach((x, c) => expect(x).toBeCloseTo(mean[c], 5));
  // Ten similar items of twelve: the one of its kind is among them, and the row is another mean.
  expect(of(described)('held')).not.toEqual(plain('held'));
});
