/** All baselines: by name, and one after another. */
import { InputError } from '../../data/errors.ts';
import { atOnce } from '../../data/pieces.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { baselineBlend } from './baseline-blend.ts';
import { type Baseline, markov, markovWindow, popularity, quickBaselines, windowedMarkov } from './baselines.ts';
import { easeRows, easeWeights, exactItems } from './ease.ts';

type Seen = 'excluded' | 'kept';

/** λ of EASE. */
const LAMBDA = 500;

/** By the names that users give. */
export const BASELINES: Readonly<
  Record<string, (device: Device, split: Split, seen: Seen) => Baseline | Promise<Baseline>>
> = {
  popularity: (_, split) => popularity(split),
  markov: (_, split) => markov(split),
  'windowed-markov': (_, split) => windowedMarkov(split),
  ease: async (device, split) => {
    requireFit(device, split);
    return { name: 'EASE', scores: easeRows(await easeWeights(device, split, LAMBDA), split.items) };
  },
  blend: async (device, split, seen) => {
    requireFit(device, split);
    return baselineBlend(split, markovWindow(split), await easeWeights(device, split, LAMBDA), seen);
  },
};

/** Whether the catalog is small enough for EASE. */
export function easeFits(device: Device, split: Split): boolean {
  return split.items <= exactItems(device);
}

function requireFit(device: Device, split: Split): void {
  if (easeFits(device, split)) return;
  const count = (n: number) => n.toLocaleString('en');
  throw new InputError(
    'too-large',
    `EASE needs a matrix of items × items, and ${count(split.items)} items are more than the ${count(exactItems(device))} that ${device.name} takes`,
    { hint: 'compare with windowed-markov' },
  );
}

/** In printing order, each computed on demand; EASE and the blend only where they fit. */
export async function* allBaselines(
  device: Device,
  split: Split,
  seen: Seen,
): AsyncGenerator<Baseline, void, undefined> {
  yield* atOnce(quickBaselines(split));
  if (!easeFits(device, split)) return;
  const weights = await easeWeights(device, split, LAMBDA);
  yield { name: 'EASE', scores: easeRows(weights, split.items) };
  yield baselineBlend(split, markovWindow(split), weights, seen);
}
