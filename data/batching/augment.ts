/**
 * Augmentation of training windows by crop, mask and reorder (CL4SRec: Xie et al., «Contrastive Learning for Sequential
 * Recommendation», ICDE 2022, §III-B), for next-item training: the events themselves are changed, inputs and targets
 * alike, so that no target is seen before its turn. A masked item is left out, since a causal model has no mask token.
 */
import { type Random, seeded } from '../random.ts';

export interface Augmentation {
  /** Probabilities that a window is cropped, loses items, has a part reordered. */
  crop: number;
  mask: number;
  reorder: number;
  /** Share of the events that a crop keeps, that a mask leaves out (each by chance), that a reordered part has. */
  cropRatio: number;
  maskRatio: number;
  reorderRatio: number;
}

/** Keeps these draws apart from those of the windows themselves. */
const STREAM = 0x61756700;

/** Whether anything is ever changed. */
export const changesWindows = (a: Augmentation | undefined): a is Augmentation =>
  !!a && (a.crop > 0 || a.mask > 0 || a.reorder > 0);

/**
 * What is left of a window's `events` events, as their places 0 … events − 1 in the new order; at least two, so that
 * there is an input and a target. The same (seed, epoch, window) gives the same.
 */
export function augmentWindow(
  a: Augmentation,
  events: number,
  seed: number,
  epoch: number,
  window: number,
): Uint32Array {
  const random = seeded(mix(mix(seed ^ STREAM, epoch), window), window);
  let places = Uint32Array.from({ length: events }, (_, i) => i);
  if (random.chance(a.crop)) {
    const kept = Math.max(2, Math.floor(a.cropRatio * places.length));
    if (kept < places.length) {
      const from = random.below(places.length - kept + 1);
      places = places.slice(from, from + kept);
    }
  }
  if (random.chance(a.mask)) places = leaveOut(places, a.maskRatio, random);
  if (random.chance(a.reorder)) {
    const length = Math.floor(a.reorderRatio * places.length);
    const from = random.below(places.length - length + 1);
    for (let i = length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [places[from + i], places[from + j]] = [places[from + j], places[from + i]];
    }
  }
  return places;
}

/** Leaves out each place by chance, but no more than leaves two. */
function leaveOut(places: Uint32Array<ArrayBuffer>, ratio: number, random: Random): Uint32Array<ArrayBuffer> {
  let spare = places.length - 2;
  return places.filter(() => {
    const out = random.chance(ratio) && spare > 0;
    if (out) spare--;
    return !out;
  });
}

/** Mixes a number into a hash (the finaliser of MurmurHash3). */
function mix(hash: number, value: number): number {
  let h = Math.imul(hash ^ value, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
