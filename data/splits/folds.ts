import { seeded } from '../random.ts';

/** One round of a cross-validation: places of what trains and of what is tested, each in rising order. */
export interface Fold {
  train: Uint32Array;
  test: Uint32Array;
}

/** Stream of the seed that deals events to folds. */
const STREAM = 0xf01d;

/**
 * k-fold cross-validation over `size` events (ratings, say): dealt at random, each event is tested in exactly one of
 * the k rounds and trains in the others; fold sizes differ by at most one. Everything follows from the seed.
 *
 * @throws Error when k is not a whole number from 2 to `size`
 */
export function folds(size: number, k: number, seed: number): Fold[] {
  if (!(Number.isInteger(k) && k >= 2 && k <= size)) {
    throw new Error(`folds: a whole number from 2 to ${size} was expected, came ${k}`);
  }
  const random = seeded(seed, STREAM);
  const dealt = Uint32Array.from({ length: size }, (_, i) => i % k);
  for (let i = size - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [dealt[i], dealt[j]] = [dealt[j], dealt[i]];
  }
  const all = Uint32Array.from({ length: size }, (_, i) => i);
  return Array.from({ length: k }, (_, fold) => ({
    train: all.filter((i) => dealt[i] !== fold),
    test: all.filter((i) => dealt[i] === fold),
  }));
}
