import { seeded, shuffle } from '../random.ts';

/** One round of a cross-validation: positions of what trains and of what is tested, each in rising order. */
export interface Fold {
  train: Uint32Array;
  test: Uint32Array;
}

/** Stream of the seed that assigns events to folds. */
const STREAM = 0xf01d;

/**
 * k-fold cross-validation over `size` events (ratings, say): assigned at random, each event is tested in exactly one of
 * the k rounds and trains in the others; fold sizes differ by at most one. Everything follows from the seed.
 *
 * @throws Error when k is not an integer from 2 to `size`
 */
export function folds(size: number, k: number, seed: number): Fold[] {
  if (!(Number.isInteger(k) && k >= 2 && k <= size)) {
    throw new Error(`folds: expected an integer from 2 to ${size}, got ${k}`);
  }
  const fold = shuffle(
    Uint32Array.from({ length: size }, (_, i) => i % k),
    seeded(seed, STREAM),
  );
  const all = Uint32Array.from({ length: size }, (_, i) => i);
  return Array.from({ length: k }, (_, tested) => ({
    train: all.filter((i) => fold[i] !== tested),
    test: all.filter((i) => fold[i] === tested),
  }));
}
