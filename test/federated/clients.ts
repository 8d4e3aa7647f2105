/** Small federations: an untrained model of a ring of items, and clients who walk round it. */
import { seeded } from '../../data/random.ts';
import type { Device } from '../../engine/index.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { untrainedModel } from '../../train/federated/catalog.ts';
import { Coordinator } from '../../train/federated/coordinator.ts';
import type { RandomBytes, WeightValues } from '../../train/federated/clip.ts';
import { LocalTrainer } from '../../train/federated/local.ts';
import { encodeUpdate } from '../../train/federated/protocol.ts';
import { checkTerms, type FederationTerms } from '../../train/federated/terms.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { set } from '../set.ts';

export const ITEMS = 12;
export const SMALL = set('d=8 ff=16 blocks=1 window=16 budget=128 dropout=0');

/** A round of plain averaging: what federated learning is without its protections. */
export const PLAIN = { clip: 0, noise: 0, trim: 0, server: 'average', serverRate: 1 } as const;

export const catalog = Array.from({ length: ITEMS }, (_, row) => ({ id: `i${row}`, title: `Item ${row}` }));

export async function untrained(files = new MemoryFiles('shared')): Promise<MemoryFiles> {
  await untrainedModel(files, catalog, { settings: SMALL });
  return files;
}

export async function start(given: Partial<FederationTerms> = {}) {
  const files = await untrained();
  const terms = checkTerms({ rounds: 2, clients: 3, ...given });
  return { files, terms, coordinator: await Coordinator.open(files, terms) };
}

export const trainer = (device: Device): LocalTrainer => new LocalTrainer(device, settingsFor('sasrec', SMALL), ITEMS);

/** Random bytes that are the same each time. */
export const bytesOf = (seed: number): RandomBytes => {
  const random = seeded(seed, 0);
  return (bytes) => bytes.forEach((_, i) => (bytes[i] = random.below(256)));
};

/** The history of a client, in rows. */
export const walk = (from: number, length = 10): Uint32Array =>
  Uint32Array.from({ length }, (_, i) => (from + i) % ITEMS);

/** A change of every parameter, the same everywhere. */
export const constant = ({ shapes }: Coordinator, value: number): WeightValues =>
  new Map(
    Array.from(shapes, ([name, shape]) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value)]),
  );

/** An update with a new ticket. */
export async function message(coordinator: Coordinator, values: WeightValues): Promise<Uint8Array<ArrayBuffer>> {
  const { federation } = coordinator.info;
  return encodeUpdate(values, coordinator.shapes, { federation, ...(await coordinator.ticket(null)) });
}
