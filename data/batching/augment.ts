/**
 * Augmentation of training windows by crop, mask and reorder (CL4SRec: Xie et al., "Contrastive Learning for Sequential
 * Recommendation", ICDE 2022, section III-B), for next-item training: the events themselves change, inputs and targets
 * alike, so that no target is seen before its turn. A masked item is left out, since a causal model has no mask token.
 */
import { type Random, seeded, shuffle } from '../random.ts';

export interface Augmentation {
  /** Probabilities that a window is cropped, loses items, has a part reordered. */
  crop: number;
  mask: number;
  reorder: number;
  /** Share of the events that a crop keeps, that a mask drops (each at random), that a reordered part has. */
  cropRatio: number;
  maskRatio: number;
  reorderRatio: number;
}

/** Keeps these draws apart from those of the windows themselves. */
const STREAM = 0x61756700;

/** Whether any window can change. */
export const changesWindows = (a: Augmentation | undefined): a is Augmentation =>
  !!a && (a.crop > 0 || a.mask > 0 || a.reorder > 0);

/**
 * What is left of a window of `events` events, as positions 0 … events − 1 in their new order; at least two, so that there
 * is an input and a target. The same (seed, epoch, window) gives the same result.
 */
export function augmentWindow(
  a: Augmentation,
  events: number,
  seed: number,
  epoch: number,
  window: number,
): Uint32Array {
  const random = seeded(mix(mix(seed ^ STREAM, epoch), window), window);
  let positions = Uint32Array.from({ length: events }, (_, i) => i);
  if (random.chance(a.crop)) {
    const kept = Math.max(2, Math.floor(a.cropRatio * positions.length));
    if (kept < positions.length) {
      const from = random.below(positions.length - kept + 1);
      positions = positions.slice(from, from + kept);
    }
  }
  if (random.chance(a.mask)) positions = dropSome(positions, a.maskRatio, random);
  if (random.chance(a.reorder)) {
    const length = Math.floor(a.reorderRatio * positions.length);
    const from = random.below(positions.length - length + 1);
    shuffle(positions.subarray(from, from + length), random);
  }
  return positions;
}

/** Drops each position at random, but keeps at least two. */
function dropSome(positions: Uint32Array<ArrayBuffer>, ratio: number, random: Random): Uint32Array<ArrayBuffer> {
  let spare = positions.length - 2;
  return positions.filter(() => {
    const out = random.chance(ratio) && spare > 0;
    if (out) spare--;
    return !out;
  });
}

/** Mixes a number into a hash (the finalizer of MurmurHash3). */
function mix(hash: number, value: number): number {
  let h = Math.imul(hash ^ value, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
