import { type Checkpoint, saveCheckpoint, saveModel } from '../../model/storage/checkpoint.ts';
import type { Item, ModelConfig } from '../../model/storage/config.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { createFolder } from '../../model/storage/folder.ts';

export function configOf(items: number): ModelConfig {
  return {
    formatVersion: 1,
    attune: '0.1.0',
    created: '2025-01-02T03:04:05.000Z',
    recipe: 'sasrec',
    hyperparameters: { d: 4, blocks: 2, dropout: 0.2, activation: 'gelu' },
    schema: { columns: { user: 'userId', item: 'movieId' }, attributes: ['genre'] },
    data: { source: 'ratings | "x".csv', users: 3, items, interactions: 20, minInteractions: 5, minRating: null },
    protocol: 'leave-one-out',
    seen: 'excluded',
    tokenBudget: 3200,
    seed: 1,
    device: 'cpu',
    variants: { matmul: ['plain'] },
  };
}

export function itemsOf(count: number): Item[] {
  const odd = ['__proto__', 'a b', '"quoted"', 'naïve,comma'];
  return Array.from({ length: count }, (_, row) => ({
    id: odd[row] ?? `item ${row}`,
    title: `Title ${row}`,
    attributes: JSON.parse('{"__proto__":"x","genre":"Drama"}') as Record<string, string>,
  }));
}

/** A checkpoint in which every number is the step, so that a mixture of two would show. */
export function checkpointOf(step: number, items = 4, width = 8): Checkpoint {
  const table = () =>
    new Map([['items.weight', { shape: [items, width], data: new Float32Array(items * width).fill(step) }]]);
  return {
    params: table(),
    m: table(),
    v: table(),
    counters: {
      step,
      epoch: 0,
      batch: step,
      seed: 7,
      bestNdcg: null,
      bestStep: null,
      patience: 0,
      elapsedSeconds: 1.5,
      finished: false,
      variants: { matmul: ['plain'] },
      extra: { order: [1, 2] },
    },
  };
}

export const standing = { step: 4, epoch: 1, metrics: { 'NDCG@10': 0.25 } };

/** A folder with checkpoint 5 and, by default, best weights of step 4. */
export async function modelIn<F extends Files>(files: F, best = true): Promise<F> {
  await createFolder(files, configOf(4), itemsOf(4));
  if (best) await saveModel(files, checkpointOf(4).params, standing);
  await saveCheckpoint(files, checkpointOf(5));
  return files;
}

export async function copyOf(files: Files): Promise<MemoryFiles> {
  const copy = new MemoryFiles('model');
  for (const name of await files.list()) await copy.write(name, (await files.read(name)) as Uint8Array);
  return copy;
}
