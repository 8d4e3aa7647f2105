/** A small model whose weights follow from a seed alone, so that every machine has the very same one. */
import { type Device, normal } from '../../engine/index.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { saveModel } from '../../model/storage/checkpoint.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { saveTransitions } from '../../model/transitions/transitions.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { set } from '../set.ts';

const ITEMS = 60;

export const idOf = (row: number): string => `i${row}`;

/** Writes it into `files`; the item vectors are long, so that scores lie far apart. */
export async function smallModel(
  device: Device,
  options: { memory?: boolean; recipe?: string; set?: Record<string, string>; files?: MemoryFiles } = {},
): Promise<MemoryFiles> {
  const { memory = true, recipe = 'sasrec', files = new MemoryFiles('small-model') } = options;
  const settings = settingsFor(recipe, {
    ...set('d=16 ff=32 blocks=1 heads=1 window=24 budget=256 loss=softmax similarity=dot'),
    memory: memory ? 'on' : 'off',
    ...options.set,
  });
  const config: ModelConfig = {
    formatVersion: 1,
    attune: '0.0.0',
    created: '2026-01-01',
    recipe,
    hyperparameters: { ...settings },
    schema: { columns: {}, attributes: ['kind'] },
    data: { source: 'nothing', users: 9, items: ITEMS, interactions: 99, minInteractions: 1, minRating: null },
    protocol: 'leave-one-out',
    seen: 'excluded',
    tokenBudget: settings.budget,
    seed: 1,
    device: '',
    variants: {},
    ...(memory
      ? { blend: { memory: 0.3, epsilon: 0.01, fitted: { users: 9, transformer: {}, memory: {}, blend: {} } } }
      : {}),
  };
  const items = Array.from({ length: ITEMS }, (_, row) => ({
    id: idOf(row),
    title: `Item ${row}`,
    attributes: { kind: row % 2 ? 'odd' : 'even' },
    count: 1 + row,
  }));
  await createFolder(files, config, items);
  if (memory) {
    const starts = Uint32Array.from({ length: ITEMS + 1 }, (_, row) => 2 * row);
    const columns = Uint32Array.from({ length: 2 * ITEMS }, (_, i) => {
      const row = i >> 1;
      return i % 2 ? Math.max(row, (row + 1) % ITEMS) : Math.min(row, (row + 1) % ITEMS);
    });
    const values = normal(2 * ITEMS, 5, 0, 0.1).map(Math.abs) as Float32Array;
    const stored = { method: 'exact' as const, last: 10, power: 0.7, lambda: 1, kept: 2 };
    await saveTransitions(files, { settings: stored, rows: { starts, columns, values } });
  }
  const model = SequenceModel.create(device, settings, ITEMS, 11);
  const values = await model.parameters.read();
  const tensors = new Map(
    [...values].map(([name, data]) => [
      name,
      {
        shape: [...model.parameters.shapeOf(name)],
        data: name === 'items.weight' || name.endsWith('qkv.weight') ? data.map((x) => 40 * x) : data,
      },
    ]),
  );
  model.dispose();
  await saveModel(files, tensors, { step: 1, epoch: 0, metrics: { 'NDCG@10': 0.1 } });
  return files;
}
