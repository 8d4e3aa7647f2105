/** A small training for the tests of the trainer. */
import { prepare } from '../../data/dataset.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import { createFolder } from '../../model/storage/folder.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { train } from '../../train/loop/trainer.ts';
import type { TrainOptions } from '../../train/loop/options.ts';

/** Forty shoppers who walk round a ring of twelve items, each from another start: the next item is known. */
export function ring(users = 40, items = 12, length = 15): Split {
  const user: number[] = [];
  const item: number[] = [];
  for (let u = 0; u < users; u++) {
    for (let i = 0; i < length; i++) {
      user.push(u);
      item.push((u * 5 + i) % items);
    }
  }
  const names = (n: number, prefix: string) => Array.from({ length: n }, (_, i) => `${prefix}${i}`);
  const log = {
    userIds: names(users, 'u'),
    itemIds: names(items, 'i'),
    user: Uint32Array.from(user),
    item: Uint32Array.from(item),
    rating: null,
    time: null,
    size: user.length,
    source: 'ring',
    notes: [],
  };
  return splitDataset(prepare(log, { minInteractions: 1 }));
}

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

export async function folder(split: Split, settings: Settings): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const config: ModelConfig = {
    formatVersion: 1,
    attune: '0.0.0',
    created: '2026-01-01',
    recipe: 'sasrec',
    hyperparameters: { ...settings },
    schema: { columns: {}, attributes: [] },
    data: {
      source: 'ring',
      users: split.users,
      items: split.items,
      interactions: 600,
      minInteractions: 1,
      minRating: null,
    },
    protocol: 'leave-one-out',
    seen: 'kept',
    tokenBudget: settings.budget,
    seed: 1,
    device: 'test',
    variants: {},
  };
  await createFolder(
    files,
    config,
    split.dataset.itemIds.map((id) => ({ id, title: `Item ${id}`, attributes: {} })),
  );
  return files;
}

export async function run(device: Device, split: Split, settings: Settings, more: Partial<TrainOptions> = {}) {
  const files = await folder(split, settings);
  const options: TrainOptions = { device, files, split, settings, seed: 1, includeSeen: true, ...more };
  return { files, options, result: await train(options) };
}
