/** Small trainings: logs that a test makes, and their folders. */
import { prepare } from '../../data/dataset.ts';
import { seeded } from '../../data/random.ts';
import type { Log } from '../../data/log.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { expect } from 'vitest';
import type { Device } from '../../engine/index.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import type { Item } from '../../model/storage/config.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';
import type { Baseline } from '../../train/baselines/baselines.ts';
import type { CollectorOptions } from '../../train/evaluation/collector.ts';
import { MISS } from '../../train/evaluation/metrics.ts';
import { evaluateBaseline, type RankOptions } from '../../train/evaluation/ranking.ts';
import type { TrainOptions, TrainProgress } from '../../train/loop/options.ts';
import { train } from '../../train/loop/trainer.ts';
import { logOf } from '../../train/events.ts';
import type { TrainingSource } from '../../train/plan.ts';
import { type ConfigOptions, newConfig } from '../../train/model-config.ts';
import { set } from '../set.ts';

const names = (n: number, prefix: string): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`);

/** The split of these histories of item numbers, in time order: user 3 is "u3", item 5 "i5". */
export function splitOf(histories: readonly (readonly number[])[], items: number, more: Partial<Log> = {}): Split {
  const item = Uint32Array.from(histories.flat());
  const log: Log = {
    userIds: names(histories.length, 'u'),
    itemIds: names(items, 'i'),
    user: Uint32Array.from(histories.flatMap((history, u) => history.map(() => u))),
    item,
    rating: null,
    time: null,
    size: item.length,
    source: 'made',
    notes: [],
    ...more,
  };
  return splitDataset(prepare(log, { minInteractions: 1 }));
}

/** Forty shoppers who walk round a ring of twelve items, each from another start: the next item is known. */
export const ring = (users = 40, items = 12, length = 15): Split =>
  splitOf(
    Array.from({ length: users }, (_, u) => Array.from({ length }, (_, i) => (u * 5 + i) % items)),
    items,
  );

export const small = (more: Record<string, string> = {}, recipe = 'sasrec'): Settings =>
  settingsFor(recipe, {
    ...set('d=16 ff=32 blocks=1 window=8 budget=128 learningRate=0.01 validateSteps=8 dropout=0.1'),
    ...more,
  });

/** Settings of a small model, of which only the ranker has much to learn. */
export const smallRanker = (more: Record<string, string>): Settings =>
  settingsFor('sasrec', {
    ...set(
      'd=16 ff=16 blocks=1 window=8 budget=128 dropout=0 memory=off validateSteps=4 ranker=on rankerPatience=1 rankerDropout=0 rankerLearningRate=0.02 learningRate=0.0001',
    ),
    ...more,
  });

/** The split's items. */
export const itemsOf = (split: Split): Item[] =>
  split.dataset.itemIds.map((id) => ({ id, title: `Item ${id}`, attributes: {} }));

/** The folder of a training on the split, before its first step. */
export async function folderOf(
  split: Split,
  settings: Settings,
  { items = itemsOf(split), ...more }: Partial<ConfigOptions> & { items?: Item[] } = {},
): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const about = { recipe: 'sasrec', settings, source: 'made', columns: {}, minInteractions: 1, seed: 1 };
  const config = newConfig({ ...about, seen: 'kept', ...more }, split.dataset, items);
  await createFolder(files, { ...config, created: '2026-01-01' }, items);
  return files;
}

export async function run(device: Device, split: Split, settings: Settings, more: Partial<TrainOptions> = {}) {
  const files = await folderOf(split, settings);
  const options: TrainOptions = { device, files, split, settings, seed: 1, includeSeen: true, ...more };
  return { files, options, result: await train(options) };
}

/** A log of random events, what is known of its users, and attributes of its items. */
export function randomSource(users: number, events: number, items: number): TrainingSource {
  const random = seeded(1, users);
  const log = logOf(
    Array.from({ length: users * events }, (_, i) => ({
      user: `u${i % users}`,
      item: `i${random.below(items)}`,
      time: i,
    })),
    'log',
  );
  const known = log.userIds.map((id, u) => [id, { area: u % 2 ? 'south' : 'north' }] as const);
  const described = log.itemIds.map((id, i) => [id, { attributes: { kind: `k${i % 3}` } }] as const);
  return { log, name: 'log', users: new Map(known), items: new Map(described) };
}

/** Options that interrupt a training when it reports this. */
export function stopWhen(reached: (progress: TrainProgress) => boolean): Pick<TrainOptions, 'signal' | 'onProgress'> {
  const abort = new AbortController();
  return { signal: abort.signal, onProgress: (progress) => reached(progress) && abort.abort() };
}

/** Whether two arrays of 32-bit numbers are the same, bit for bit. */
export function sameBits(a?: Float32Array | Uint32Array, b?: Float32Array | Uint32Array): boolean {
  if (!a || !b || a.length !== b.length) return false;
  const [x, y] = [a, b].map((array) => new Uint32Array(array.buffer, array.byteOffset, array.length));
  return x.every((word, i) => word === y[i]);
}

/** Whether two trainings have come to the same weights, moments and averages. */
export async function expectSameCheckpoint(a: Files, b: Files): Promise<void> {
  const [one, other] = [await loadCheckpoint(a), await loadCheckpoint(b)];
  expect(one).not.toBeNull();
  for (const group of ['params', 'm', 'v', 'average'] as const)
    for (const [name, t] of one?.[group] ?? [])
      if (!sameBits(other?.[group]?.get(name)?.data, t.data))
        expect(other?.[group]?.get(name)?.data, `${group} ${name}`).toEqual(t.data);
}

/** The same training again in debug mode, which traces each step again and fills its slots with NaN before. */
export async function expectSameInDebugMode<T>(device: Device, losses: () => Promise<T[]>, above = 3): Promise<void> {
  const plain = await losses();
  device.debug = true;
  const checked = await losses().finally(() => {
    device.debug = false;
  });
  expect(plain.length).toBeGreaterThan(above);
  expect(checked).toEqual(plain);
}

/** The rank of each user's target, as an evaluation counts it. */
export function ranksOf(split: Split, baseline: Baseline, options: RankOptions & CollectorOptions): number[] {
  const { MRR = [] } = evaluateBaseline(split, baseline, options)?.perUser ?? {};
  return Array.from(MRR, (reciprocal) => (reciprocal === 0 ? MISS : Math.round(1 / reciprocal)));
}
