/**
 * Which ratings are tested, and which train for it:
 *
 *   folds    k-fold cross-validation: every rating is tested once, by a model of the other folds (k = 5)
 *   random   a share of all ratings, drawn at random (test = 0.1)
 *   last     each user's last rating; users with one rating only train
 *   cold     all ratings of a share of the items, drawn at random: predictions for unrated items (test = 0.2)
 *
 * Written as `NAME` or `NAME:key=value`, `--folds K` for `folds:k=K`.
 */
import { InputError, option } from '../errors.ts';
import { type Fold, folds } from '../splits/folds.ts';
import type { Ratings } from './ratings.ts';
import { seeded } from '../random.ts';

export type RatingSplit = { name: 'folds'; k: number } | { name: 'random' | 'cold'; test: number } | { name: 'last' };

export const RATING_SPLITS = ['folds', 'random', 'last', 'cold'] as const;
export const FIVE_FOLDS: RatingSplit = { name: 'folds', k: 5 };

/** Stream of the seed that draws the tested share. */
const STREAM = 0x5a1e;

/** Whether a protocol, as text, is a split of ratings; the others are for ranking. */
export function isRatingSplit(text: string): boolean {
  return (RATING_SPLITS as readonly string[]).includes(text.replace(/:.*$/s, '').trim());
}

/** @throws InputError */
export function parseRatingSplit(text: string): RatingSplit {
  const [name, ...rest] = text.split(':').map((part) => part.trim());
  const [key, value, ...more] = rest
    .join(':')
    .split('=')
    .map((part) => part.trim());
  const fail = (why: string): never => {
    throw new InputError('invalid-value', why, { setting: 'protocol', value: text });
  };
  const number = (expected: string, fallback: number, right: (n: number) => boolean): number => {
    if (rest.length === 0) return fallback;
    const n = key === expected && more.length === 0 && value ? Number(value) : Number.NaN;
    if (!right(n))
      fail(
        expected === 'k'
          ? 'expected folds:k=5, k an integer >= 2'
          : `expected ${name}:test=${fallback}, a share between 0 and 1`,
      );
    return n;
  };
  if (name === 'folds') return { name, k: number('k', 5, (n) => Number.isSafeInteger(n) && n >= 2) };
  if (name === 'random') return { name, test: number('test', 0.1, (n) => n > 0 && n < 1) };
  if (name === 'cold') return { name, test: number('test', 0.2, (n) => n > 0 && n < 1) };
  if (name === 'last') {
    if (rest.length > 0) fail('last takes no parameters');
    return { name };
  }
  return fail(`ratings are split by ${RATING_SPLITS.join(', ')}`);
}

/** The text that `parseRatingSplit` reads as this split. */
export function ratingSplitFlag(split: RatingSplit): string {
  if (split.name === 'last') return 'last';
  return split.name === 'folds' ? `folds:k=${split.k}` : `${split.name}:test=${split.test}`;
}

/** The parameters after the name, as stored in config.json. */
export function splitParameters(split: RatingSplit): Record<string, number> {
  if (split.name === 'last') return {};
  return split.name === 'folds' ? { k: split.k } : { test: split.test };
}

/** For people: what is predicted. */
export function describeRatingSplit(split: RatingSplit): string {
  if (split.name === 'last') return "each user's last rating";
  if (split.name === 'folds') return `every rating once, in ${split.k} folds`;
  const share = `${Number((100 * split.test).toFixed(4))} % of the`;
  return split.name === 'cold' ? `all ratings of ${share} items, drawn at random` : `${share} ratings, drawn at random`;
}

/**
 * The rounds: rows that train and rows that are tested, each in rising order.
 * @throws InputError where the log is too small for the split
 */
export function ratingRounds(ratings: Ratings, split: RatingSplit, seed: number): Fold[] {
  const { size, source, order, starts } = ratings;
  if (split.name === 'folds') {
    const trains = (k: number): number => size - Math.ceil(size / k);
    if (size < 3)
      throw new InputError(
        'too-little-data',
        `${source}: expected at least 3 ratings, to test one and learn from two; got ${size}`,
      );
    if (split.k > size || trains(split.k) < 2) {
      let k = Math.min(split.k, size);
      while (trains(k) < 2) k++;
      throw new InputError(
        'too-little-data',
        `${source}: ${size} ratings do not make ${split.k} folds with two to learn from in each round`,
        { hint: `give ${option('folds', k)}` },
      );
    }
    return folds(size, split.k, seed);
  }
  const tested = new Uint8Array(size);
  if (split.name === 'random') {
    for (const row of drawn(size, split.test, seed)) tested[row] = 1;
  } else if (split.name === 'cold') {
    const cold = new Set(drawn(ratings.itemIds.length, split.test, seed));
    ratings.item.forEach((item, row) => {
      tested[row] = Number(cold.has(item));
    });
  } else {
    for (let u = 0; u + 1 < starts.length; u++) {
      const rows = order.subarray(starts[u], starts[u + 1]);
      const last = rows.at(-1);
      if (rows.length > 1 && last !== undefined) tested[last] = 1;
    }
  }
  const all = Uint32Array.from({ length: size }, (_, i) => i);
  const round = { train: all.filter((i) => !tested[i]), test: all.filter((i) => tested[i]) };
  if (round.test.length === 0 || round.train.length < 2)
    throw new InputError(
      'too-little-data',
      `${source}: ${describeRatingSplit(split)} leave ${round.train.length} ratings to train and ${round.test.length} to test; the log is too small`,
    );
  return [round];
}

/** A share of 0 … n − 1, at random. */
function drawn(n: number, share: number, seed: number): Uint32Array {
  const all = Uint32Array.from({ length: n }, (_, i) => i);
  const count = Math.round(share * n);
  const random = seeded(seed, STREAM);
  for (let i = 0; i < count; i++) {
    const j = i + random.below(n - i);
    [all[i], all[j]] = [all[j] as number, all[i] as number];
  }
  return all.subarray(0, count);
}
