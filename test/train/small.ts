/** Small trainings: logs that a test makes, and their folders. */
import { prepare } from '../../data/dataset.ts';
import type { Log } from '../../data/log.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import type { Item } from '../../model/storage/config.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';
import type { Baseline } from '../../train/baselines/baselines.ts';
import type { CollectorOptions } from '../../train/evaluation/collector.ts';
import { MISS } from '../../train/evaluation/metrics.ts';
import { evaluateBaseline, type RankOptions } from '../../train/evaluation/ranking.ts';
import type { TrainOptions } from '../../train/loop/options.ts';
import { train } from '../../train/loop/trainer.ts';
import { type ConfigOptions, newConfig } from '../../train/model-config.ts';

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
    d: '16',
    ff: '32',
    blocks: '1',
    window: '8',
    budget: '128',
    learningRate: '0.01',
    validateSteps: '8',
    dropout: '0.1',
    ...more,
  });

/** Settings of a small model, of which only the ranker has much to learn. */
export const smallRanker = (more: Record<string, string>): Settings =>
  settingsFor('sasrec', {
    d: '16',
    ff: '16',
    blocks: '1',
    window: '8',
    budget: '128',
    dropout: '0',
    memory: 'off',
    validateSteps: '4',
    ranker: 'on',
    rankerPatience: '1',
    rankerDropout: '0',
    rankerLearningRate: '0.02',
    learningRate: '0.0001',
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

/** The rank of each user's target, as an evaluation counts it. */
export function ranksOf(split: Split, baseline: Baseline, options: RankOptions & CollectorOptions): number[] {
  const { MRR = [] } = evaluateBaseline(split, baseline, options)?.perUser ?? {};
  return Array.from(MRR, (reciprocal) => (reciprocal === 0 ? MISS : Math.round(1 / reciprocal)));
}
