/**
 * A log in which the cause of an event is known: after A3 each next event is B3 with probability ½, and noise until then, so
 * that only A3 tells of B3, and not how many events of noise lie between them.
 */
import { seeded } from '../../data/random.ts';
import { prepare } from '../../data/dataset.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { trainStages } from '../train/stages.ts';

const PAIRS = 4;
const NOISE = 12;

export function causes(users = 150, length = 18): Split {
  const random = seeded(7, 1);
  const noise = (): string => `N${random.below(NOISE)}`;
  const rows: [number, string][] = [];
  for (let u = 0; u < users; u++) {
    const all: string[] = Array.from({ length: random.below(5) }, noise);
    while (all.length < length) {
      const pair = random.below(PAIRS);
      all.push(`A${pair}`);
      while (random.chance(0.5)) all.push(noise());
      all.push(`B${pair}`, noise());
    }
    for (const item of all.slice(0, length)) rows.push([u, item]);
  }
  const ids = [...new Set(rows.map(([, item]) => item))].sort();
  const log = {
    userIds: Array.from({ length: users }, (_, u) => `u${u}`),
    itemIds: ids,
    rating: null,
    time: null,
    user: Uint32Array.from(rows, ([u]) => u),
    item: Uint32Array.from(rows, ([, item]) => ids.indexOf(item)),
    size: rows.length,
    source: 'causes',
    notes: [],
  };
  return splitDataset(prepare(log, { minInteractions: 1 }));
}

/** A history after which B2 is likeliest, since A2 is in it; and the position of A2. */
export const HISTORY = ['N1', 'A0', 'N3', 'N5', 'B0', 'N2', 'A2', 'N7', 'N4'];
export const CAUSE = 6;

/** Trains a small model on it. */
export async function learned(device: Device, recipe: string, more: Record<string, string> = {}, epochs = 40) {
  const split = causes();
  const settings = settingsFor(recipe, {
    d: '16',
    ff: '32',
    blocks: '2',
    heads: '1',
    window: '12',
    budget: '512',
    learningRate: '0.01',
    validateSteps: '1000',
    dropout: '0',
    loss: 'softmax',
    similarity: 'dot',
    memory: 'off',
    ...more,
  });
  const files = new MemoryFiles();
  const { users, items } = split;
  const config: ModelConfig = {
    formatVersion: 1,
    attune: '0.0.0',
    created: '2026-01-01',
    recipe,
    hyperparameters: { ...settings },
    schema: { columns: {}, attributes: [] },
    data: { source: 'causes', users, items, interactions: 0, minInteractions: 1, minRating: null },
    protocol: 'leave-one-out',
    seen: 'kept',
    tokenBudget: settings.budget,
    seed: 1,
    device: '',
    variants: {},
  };
  const kinds = (id: string): Record<string, string> => ({
    kind: id.startsWith('N') ? 'noise' : `pair ${id.slice(1)}`,
  });
  const rows = split.dataset.itemIds.map((id) => ({ id, title: `<${id}> & co`, attributes: kinds(id) }));
  await createFolder(files, config, rows);
  const result = await trainStages({ device, files, split, settings, epochs });
  return { files, result };
}
