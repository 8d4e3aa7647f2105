/** Every baseline, by name and one after the other. */
import { InputError } from '../../data/errors.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { blend } from './baseline-blend.ts';
import { type Baseline, markov, markovWindow, popularity, quickBaselines, windowedMarkov } from './baselines.ts';
import { easeRows, easeWeights, exactItems } from './ease.ts';

type Seen = 'excluded' | 'kept';

/** λ of EASE. */
const LAMBDA = 500;

/** The names by which a command asks for one. */
export const BASELINES: Readonly<
  Record<string, (device: Device, parts: Split, seen: Seen) => Baseline | Promise<Baseline>>
> = {
  popularity: (_, parts) => popularity(parts),
  markov: (_, parts) => markov(parts),
  'windowed-markov': (_, parts) => windowedMarkov(parts),
  ease: async (device, parts) => {
    requireRoom(device, parts);
    return { name: 'EASE', scores: easeRows(await easeWeights(device, parts, LAMBDA), parts.items) };
  },
  blend: async (device, parts, seen) => {
    requireRoom(device, parts);
    return blend(parts, markovWindow(parts), await easeWeights(device, parts, LAMBDA), seen);
  },
};

/** Whether the catalogue is small enough for EASE. */
export function easeFits(device: Device, parts: Split): boolean {
  return parts.items <= exactItems(device);
}

function requireRoom(device: Device, parts: Split): void {
  if (easeFits(device, parts)) return;
  const count = (n: number) => n.toLocaleString('en');
  throw new InputError(
    'too-large',
    `EASE needs a matrix of items × items, and ${count(parts.items)} items are more than the ${count(exactItems(device))} that ${device.name} takes`,
    { hint: 'compare with windowed-markov' },
  );
}

/** In the order in which they are printed, each made when it is asked for; EASE and the blend where they fit. */
export async function* allBaselines(
  device: Device,
  parts: Split,
  seen: Seen,
): AsyncGenerator<Baseline, void, undefined> {
  yield* quickBaselines(parts);
  if (!easeFits(device, parts)) return;
  const weights = await easeWeights(device, parts, LAMBDA);
  yield { name: 'EASE', scores: easeRows(weights, parts.items) };
  yield blend(parts, markovWindow(parts), weights, seen);
}
