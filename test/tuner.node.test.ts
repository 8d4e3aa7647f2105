/** Measured choices: they decide the variant, they survive a file and a checkpoint, and nothing else measures. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fileTuningStore, nodeTuning, runtime } from '../recommend/sources/tuning.node.ts';
import {
  adapterKey,
  type Choices,
  collectShapes,
  Device,
  formatChoices,
  matmul,
  parseChoices,
  tune,
} from '../engine/index.ts';
import { MemoryFiles } from '../model/storage/files.ts';
import { saveModel } from '../model/storage/checkpoint.ts';
import { createFolder } from '../model/storage/folder.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import { parametersOf } from '../model/encoders/network.ts';
import { SequenceModel } from '../model/encoders/sequence-model.ts';
import { Recommender } from '../recommend/node.ts';
import { configOf, itemsOf } from './model/folder.fixture.ts';
import { openDevice } from './device.ts';

const SHAPE = 'm5 n5 k5 batch0 transA0 transB0 act0 flags0';
const TILE = 'matmul_gpu BM=32 BN=32 BK=16 TM=4 TN=4';
const CHOICES: Choices = { matmul: { [SHAPE]: TILE } };
const folder = mkdtempSync(join(tmpdir(), 'attune-tuning-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const device = await openDevice({ backend: 'webgpu' });

/** The choice that a product of 32 × 32 × 32 runs with. */
function ran(on: Device): string[] {
  on.gpu?.variants.used.clear();
  on.scope(() => void matmul(on.full([32, 32], 1), on.full([32, 32], 1)));
  return on.variants().matmul;
}

function restore(before: { cache?: string; tune?: string }): void {
  for (const [name, value] of [
    ['XDG_CACHE_HOME', before.cache],
    ['ATTUNE_TUNE', before.tune],
  ] as const) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

/** A model folder of four items that nothing was learned into. */
async function tinyModel(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const settings = settingsFor('sasrec', { d: '8', ff: '8', blocks: '1', window: '4', budget: '64' });
  await createFolder(files, { ...configOf(4), hyperparameters: { ...settings } }, itemsOf(4));
  const cpu = await Device.open({ backend: 'cpu' });
  const model = SequenceModel.create(cpu, settings, 4, 1);
  const tensors = [...(await model.parameters.read())].map(
    ([name, data]) =>
      [name, { shape: parametersOf(settings, 4).declared.find((s) => s.name === name)?.shape ?? [], data }] as const,
  );
  await saveModel(files, new Map(tensors), { step: 1, epoch: 0, metrics: {} });
  return files;
}

describe('measured choices', () => {
  it('are kept in a file of the cache folder, and ATTUNE_TUNE=off leaves them aside', async () => {
    const before = { cache: process.env.XDG_CACHE_HOME, tune: process.env.ATTUNE_TUNE };
    process.env.XDG_CACHE_HOME = folder;
    delete process.env.ATTUNE_TUNE;
    try {
      expect(await fileTuningStore.load('an adapter')).toBeNull();
      await fileTuningStore.save('an adapter', CHOICES);
      expect(await nodeTuning()?.store.load('an adapter')).toEqual(CHOICES);
      expect(await nodeTuning()?.store.load('another adapter')).toBeNull();
      process.env.ATTUNE_TUNE = 'off';
      expect(nodeTuning()).toBeUndefined();
    } finally {
      restore(before);
    }
  });

  it('serve the library, too: Recommender.load opens its device with them unless ATTUNE_TUNE=off', async () => {
    const before = { cache: process.env.XDG_CACHE_HOME, tune: process.env.ATTUNE_TUNE };
    process.env.XDG_CACHE_HOME = mkdtempSync(join(folder, 'library-'));
    delete process.env.ATTUNE_TUNE;
    try {
      const files = await tinyModel();
      const adapter = adapterKey(device.gpu as NonNullable<Device['gpu']>, runtime());
      await fileTuningStore.save(adapter, CHOICES);
      const choice = async (options?: Parameters<typeof Recommender.load>[1]): Promise<string> => {
        const recommender = await Recommender.load(files, { backend: 'webgpu', ...options });
        const [first] = ran(recommender.device);
        recommender.close();
        return first;
      };
      expect(await choice()).toBe(TILE);
      expect(await choice({ tuning: null })).not.toBe(TILE);
      expect(await choice({ tuning: { store: fileTuningStore, runtime: 'another' } })).not.toBe(TILE);
      process.env.ATTUNE_TUNE = 'off';
      expect(await choice()).not.toBe(TILE);
    } finally {
      restore(before);
    }
  });

  it('that are damaged count as none', () => {
    expect(parseChoices(formatChoices('x', CHOICES))).toEqual(CHOICES);
    for (const text of ['', '{', '[]', '{"version":2,"choices":{}}', '{"version":1,"choices":{"matmul":{"a":1}}}'])
      expect(parseChoices(text)).toBeNull();
  });

  it('are loaded when a device opens, for its adapter only', async () => {
    const asked: string[] = [];
    const load = async (adapter: string): Promise<Choices> => {
      asked.push(adapter);
      return CHOICES;
    };
    const store = { load, save: async () => {} };
    const other = await Device.open({ backend: 'webgpu', tuning: { store, runtime: 'dawn 1' } });
    expect(ran(other)).toEqual([TILE]);
    expect(asked).toEqual([expect.stringMatching(/ \| dawn 1$/)]);
    other.close();
  });

  it('go into a checkpoint and come out of it, in place of those of the machine', () => {
    const gpu = device.gpu as NonNullable<Device['gpu']>;
    const untuned = ran(device);
    expect(untuned).not.toEqual([TILE]);
    gpu.variants.setTuned(CHOICES);
    expect(ran(device)).toEqual([TILE]);
    const saved = gpu.variants.save();
    expect(saved.matmul).toContain(`${TILE} @ ${SHAPE}`);
    gpu.variants.setTuned({});
    expect(ran(device)).toEqual(untuned);
    gpu.variants.resume(saved);
    expect(ran(device)).toEqual([TILE]);
    gpu.variants.resume({ matmul: untuned });
    expect(ran(device)).toEqual(untuned);
    gpu.variants.resume({ matmul: ['a kernel that is gone', `another @ ${SHAPE}`] });
    expect(ran(device)).toEqual(untuned);
    gpu.variants.resume({});
  });

  it('come from timing the candidates of a class of shapes: all on a GPU, those that suit on a software adapter', async () => {
    const caps = device.gpu?.caps as { subgroupMin: number; subgroupMax: number };
    const { subgroupMin, subgroupMax } = caps;
    const samples = collectShapes(device, () => void ran(device));
    expect(samples.map(({ kernel, shape }) => `${kernel.name} ${shape}`)).toEqual([`matmul ${SHAPE}`]);
    for (const width of [subgroupMax, 32]) {
      Object.assign(caps, { subgroupMin: width, subgroupMax: width });
      const heard: string[] = [];
      const { choices, rows } = await tune(device, samples, (row, soFar) => {
        heard.push(soFar[row.kernel][row.shape]);
      }).finally(() => Object.assign(caps, { subgroupMin, subgroupMax }));
      const names = rows[0].times.map(({ choice }) => choice);
      expect(names.includes(TILE)).toBe(width > 8);
      expect(names).toContain(choices.matmul[SHAPE]);
      expect(heard).toEqual([choices.matmul[SHAPE]]);
      expect(rows[0].times.every(({ ms }) => ms > 0)).toBe(true);
      expect(device.gpu?.variants.forced.size).toBe(0);
    }
  });

  it('keep what runs anyway where nothing suits a software adapter', async ({ skip }) => {
    if (!device.caps?.f16) return skip('the adapter has no shader-f16');
    const samples = collectShapes(device, () => void device.withPrecision('mixed', () => ran(device)));
    expect(samples.map(({ kernel }) => kernel.name)).toEqual(['matmul_mixed']); // for GPUs, all of its kernels
    const { choices, rows } = await tune(device, samples);
    expect(rows[0].times.map(({ choice }) => choice)).toContain(rows[0].untuned);
    expect(Object.keys(choices)).toEqual(['matmul_mixed']);
  });
});
