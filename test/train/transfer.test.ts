/** Trainings that start from another model: what is carried over, what is frozen, and what is refused. */
import { beforeAll, describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import {
  finalPlan,
  logOf,
  planTransfer,
  resumePlan,
  runPlan,
  type TrainedModel,
  type TrainingEvent,
  trainModel,
  type TransferOptions,
} from '../../train/index.ts';
import { TimeBudget } from '../../train/loop/time-budget.ts';
import type { PlanOptions } from '../../train/plan.ts';
import { TrainingRun } from '../../train/stages/training-run.ts';
import { transfer } from '../../train/stages/transfer.ts';
import { byIds } from '../../train/transfer/ids.ts';
import { kernelRidge } from '../../train/transfer/kernel-ridge.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';
import { expectSameCheckpoint, sameBits, stopWhen } from './small.ts';

const device = await openDevice({ backend: 'cpu' });
const settings = set('d=16 ff=32 blocks=1 window=8 budget=256 learningRate=0.02 validateSteps=4 dropout=0.1 ema=0');
const KINDS = 6;
const EACH = 8;

/** A catalog of `EACH` items of each kind: `prefix` and a number, whose title says neither. */
const catalog = (prefix: string, from = 0) =>
  Array.from({ length: KINDS * EACH }, (_, i) => ({
    id: `${prefix}${from + i}`,
    title: `Item No. ${from + i}`,
    attributes: { kind: `kind ${i % KINDS}` },
  }));

/** Shoppers who go from kind to kind, in order, and take any item of it. */
function shoppers(prefix: string, users: number, from = 0): TrainingEvent[] {
  const random = seeded(7, users);
  const items = catalog(prefix, from);
  return Array.from({ length: users }, (_, u) =>
    Array.from({ length: 12 }, (_, t) => ({
      user: `u${u}`,
      item: items[((u + t) % KINDS) + KINDS * random.below(EACH)].id,
      time: t * 1000 + u,
    })),
  ).flat();
}

const source = (events: TrainingEvent[], items: ReturnType<typeof catalog>) => ({
  log: logOf(events, 'log'),
  name: 'log',
  items: new Map(items.map((item) => [item.id, item])),
});
const shared = { minInteractions: 1, includeSeen: true } as const;

describe('a training that starts from another model', () => {
  let model: TrainedModel;
  const other = source(shoppers('b', 60), catalog('b'));
  const overlapping = source(shoppers('a', 60, 10), catalog('a', 10));
  const plan = (options: PlanOptions & TransferOptions, from = overlapping) =>
    planTransfer(model.files, from, { ...shared, ...options });

  beforeAll(async () => {
    const events = shoppers('a', 120);
    model = await trainModel(events, {
      ...shared,
      device,
      recipe: 'sasrec',
      items: catalog('a'),
      settings,
      epochs: 12,
      source: 'shop a',
    });
  });

  /** The weights before the first step. */
  async function startOf(options: PlanOptions & TransferOptions, from = overlapping) {
    const made = await plan(options, from);
    const files = new MemoryFiles('started');
    await createFolder(files, { ...made.config, device: 'cpu' }, made.items);
    const run = new TrainingRun(made, device, files, {});
    try {
      const fresh = await run.encoder.parameters.read();
      await transfer.run(run, new TimeBudget());
      const { init } = await loadConfig(files);
      return { plan: made, fresh, values: await run.encoder.parameters.read(), init };
    } finally {
      run.dispose();
    }
  }

  it('has the weights of its encoder and the rows of shared items bit for bit, and all others from the seed', async () => {
    const { plan: made, fresh, values, init } = await startOf({ map: 'ids' });
    const { tensors, items } = await loadModel(model.files);
    const rowOf = new Map(items.map(({ id }, row) => [id, row]));
    for (const [name, value] of values)
      if (name !== 'items.weight') expect(sameBits(value, tensors.get(name)?.data as Float32Array), name).toBe(true);
    const known = tensors.get('items.weight')?.data as Float32Array;
    const [table, drawn] = [values, fresh].map((of) => of.get('items.weight') as Float32Array);
    let rows = 0;
    made.items.forEach(({ id }, v) => {
      const row = rowOf.get(id);
      rows += Number(row !== undefined);
      const expected =
        row === undefined ? drawn.subarray(16 * v, 16 * v + 16) : known.subarray(16 * row, 16 * row + 16);
      expect(Array.from(table.subarray(16 * v, 16 * v + 16))).toEqual(Array.from(expected));
    });
    expect([rows, rows < made.items.length, rows > 0]).toEqual([init?.rows, true, true]);
    expect(init).toMatchObject({ from: model.files.where, map: 'ids', frozenEpochs: 0 });
    expect(init?.version).toMatch(/^[0-9a-f]{12}$/);
  });

  it('knows nothing of an item that two of the model may be', async () => {
    const titled = (id: string, title: string) => ({ id, title, attributes: {} });
    const from = [titled('1', 'Heat'), titled('2', 'HEAT!'), titled('3', 'Alien')];
    const find = byIds.plan(from, [titled('7', 'Alien'), titled('8', 'Heat'), titled('9', '9')], 'title');
    const { mapped, rows } = await find(device, { rows: Float32Array.of(1, 2, 3), towerRows: null }, 1, async () => {});
    expect([Array.from(mapped), Array.from(rows)]).toEqual([
      [1, 0, 0],
      [3, 0, 0],
    ]);
  });

  it('finds shared items by a column, whatever its case and marks', async () => {
    const renamed = catalog('b').map((item, i) => ({ ...item, title: i === 3 ? 'Other' : `ITEM nó. ${i}!` }));
    const { plan: made, init, values } = await startOf({ map: 'ids:title' }, source(shoppers('b', 60), renamed));
    const others = made.items.filter(({ title }) => title === 'Other').length;
    expect(init?.rows).toBe(made.items.length - others);
    const { tensors, items } = await loadModel(model.files);
    const v = made.items.findIndex(({ id }) => id === 'b5');
    const row = items.findIndex(({ id }) => id === 'a5');
    const of = (table: ArrayLike<number> | undefined, at: number) =>
      Array.from(table ?? []).slice(16 * at, 16 * at + 16);
    expect(of(values.get('items.weight'), v)).toEqual(of(tensors.get('items.weight')?.data, row));
    await expect(plan({ map: 'ids:title' }, source(shoppers('b', 60, 500), catalog('b', 500)))).rejects.toThrow(
      /no item has the title of one of the model's: "item no 5\d\d" here, "item no \d+" there/,
    );
    await expect(plan({ map: 'ids' }, other)).rejects.toThrow(
      /no item has the ID of one of the model's: "b\d+" here, "a\d+" there/,
    );
  });

  it('knows items of another catalog by their attributes before the first step', async () => {
    const { plan: made, values, init } = await startOf({ map: 'attributes' }, other);
    expect(init?.rows).toBe(made.items.length);
    expect(init?.explained).toBeGreaterThan(0.2);
    const { tensors, items } = await loadModel(model.files);
    const known = tensors.get('items.weight')?.data as Float32Array;
    const rows = values.get('items.weight') as Float32Array;
    const meanOf = (kind: string) => {
      const of = items.flatMap(({ attributes }, v) => (attributes.kind === kind ? [v] : []));
      return Array.from({ length: 16 }, (_, c) => of.reduce((sum, v) => sum + known[16 * v + c] / of.length, 0));
    };
    const kinds = Array.from({ length: KINDS }, (_, k) => `kind ${k}`);
    const nearest = (v: number) => {
      const far = kinds.map((kind) => meanOf(kind).reduce((sum, x, c) => sum + (x - rows[16 * v + c]) ** 2, 0));
      return kinds[far.indexOf(Math.min(...far))];
    };
    const right = made.items.filter(({ attributes }, v) => nearest(v) === attributes.kind).length;
    expect(right / made.items.length).toBeGreaterThan(0.9);
    // No step is better than these rows at once: the weights of the seed know nothing.
    const start = async (init: boolean) => {
      const options = { ...shared, device, settings: { ...settings, learningRate: '1e-6' }, epochs: 1 };
      const { result } = await trainModel(shoppers('b', 60), {
        ...options,
        items: catalog('b'),
        ...(init ? { init: model.files, map: 'attributes' } : { recipe: 'sasrec' }),
      });
      return result.validations[0].metrics['NDCG@10'];
    };
    expect(await start(true)).toBeGreaterThan(2 * (await start(false)));
  });

  it('takes the rows that an item tower makes of new items', async () => {
    const tower = await trainModel(shoppers('a', 60), {
      ...shared,
      device,
      recipe: 'sasrec',
      items: catalog('a'),
      settings: { ...settings, items: 'tower' },
      epochs: 4,
    });
    const made = await planTransfer(tower.files, other, { ...shared, map: 'attributes', epochs: 1 });
    expect(made.settings.items).toBe('ids');
    const { config } = await runPlan(made, { device, files: new MemoryFiles() });
    expect(config.init).toMatchObject({ rows: made.items.length, map: 'attributes' });
    expect(config.init?.explained).toBeUndefined();
  });

  it('trains the item table alone while the encoder is frozen, and everything after it', async () => {
    const { tensors } = await loadModel(model.files);
    const trained = async (epochs: number) => {
      const made = await plan({ freezeEpochs: 1, epochs, settings: { validateSteps: '1000' } });
      const files = new MemoryFiles();
      await runPlan(made, { device, files });
      const { params } = (await loadCheckpoint(files)) ?? {};
      const moved = [...(params ?? [])].filter(
        ([name, { data }]) => !sameBits(data as Float32Array, tensors.get(name)?.data as Float32Array),
      );
      return { moved: moved.map(([name]) => name), all: [...(params?.keys() ?? [])] };
    };
    expect((await trained(1)).moved).toEqual(['items.weight']);
    const { moved, all } = await trained(2);
    expect(moved.sort()).toEqual(all.sort());
  });

  it('continues where it was stopped, frozen or not, to the same weights', async () => {
    const options = { map: 'ids', freezeEpochs: 1, epochs: 3, settings: set('dropout=0.1 budget=256') };
    const whole = new MemoryFiles('whole');
    await runPlan(await plan(options), { device, files: whole });
    for (const step of [1, 5]) {
      const files = new MemoryFiles('stopped');
      const stopped = await runPlan(await plan(options), { device, files, ...stopWhen((p) => p.step === step) });
      expect(stopped.result.reason).toBe('interrupted');
      const rest = await resumePlan(files, overlapping, { epochs: 3 });
      expect([rest.frozenEpochs, rest.init]).toEqual([1, null]);
      await runPlan(rest, { device, files });
      await expectSameCheckpoint(files, whole);
    }
  });

  it('refuses in one line what contradicts the model, and what cannot go on', async () => {
    await expect(plan({ settings: { d: '32' } })).rejects.toThrow(
      /`settings.d: 32`: the encoder of .* has d=16; leave it out, or train from nothing/,
    );
    await expect(plan({ settings: { window: '50' } })).rejects.toThrow(/has window=8/);
    await expect(plan({ recipe: 'hstu' })).rejects.toThrow(/`recipe: hstu`: .* was trained as sasrec/);
    await expect(plan({ settings: { items: 'codes' } })).rejects.toThrow(/not with the weights of another model/);
    await expect(plan({ map: 'names' })).rejects.toThrow(/unknown map; there is ids, attributes, vectors/);
    await expect(plan({ map: 'attributes:kind' })).rejects.toThrow(/attributes takes no column/);
    await expect(plan({ map: 'vectors' })).rejects.toThrow(/no column of vectors that both catalogs have/);
    await expect(plan({ freezeEpochs: -1 })).rejects.toThrow(/integer >= 0, got -1/);
    // The same value, in other words, is no contradiction.
    expect((await plan({ settings: { d: '16.0', learningRate: '0.5' } })).settings.learningRate).toBe(0.5);

    const files = new MemoryFiles('early');
    await runPlan(await plan({}), { device, files, ...stopWhen((p) => p.phase === 'transfer') });
    await expect(resumePlan(files, overlapping)).rejects.toThrow(/early: stopped before its first step; start from/);
    const done = new MemoryFiles('done');
    await runPlan(await plan({ epochs: 1 }), { device, files: done });
    await expect(finalPlan(done, overlapping)).rejects.toThrow(/started from another model/);
  });
});

it('a linear kernel finds a linear map of vectors, and an uninformative one explains nothing', async () => {
  const random = seeded(3, 1);
  const normal = () => random.below(2000) / 1000 - 1;
  const [n, count, width, d] = [200, 20, 8, 4];
  const map = Array.from({ length: width * d }, normal);
  const points = Array.from({ length: n + count }, () => Array.from({ length: width }, normal));
  const rowOf = (x: number[]) =>
    Array.from({ length: d }, (_, c) => 1 + x.reduce((sum, v, i) => sum + v * map[i * d + c], 0));
  const known = Float32Array.from(points.slice(0, n).flatMap(rowOf));
  const linear = (i: number, out: Float32Array) =>
    points.forEach((y, j) => {
      out[j] = y.reduce((sum, v, c) => sum + v * points[i][c], 0);
    });
  const blind = (i: number, out: Float32Array) => points.forEach((_, j) => (out[j] = Number(i === j)));
  const pause = async () => {};
  const { rows, explained } = await kernelRidge(device, { kernels: [blind, linear], known, d, count }, pause);
  expect(explained).toBeGreaterThan(0.99);
  points.slice(n).forEach((x, i) =>
    rowOf(x).forEach((value, c) => {
      expect(rows[i * d + c]).toBeCloseTo(value, 0);
    }),
  );
  const none = await kernelRidge(device, { kernels: [blind], known, d, count }, pause);
  expect(none.explained).toBeLessThan(0.05);
});
