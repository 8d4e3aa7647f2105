import { expect, test } from 'vitest';
import { folds } from '../../data/splits/folds.ts';

test.each([
  [10, 5],
  [11, 5],
  [2, 2],
  [7, 7],
])('%i events in %i folds: each tested once, never trained on where it is', (size, k) => {
  const rounds = folds(size, k, 3);
  expect(rounds).toHaveLength(k);
  expect([...rounds.flatMap(({ test }) => [...test])].sort((a, b) => a - b)).toEqual(
    Array.from({ length: size }, (_, i) => i),
  );
  for (const { train, test } of rounds) {
    expect([...train, ...test].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
    expect(test.length).toBeGreaterThanOrEqual(Math.floor(size / k));
    expect(test.length).toBeLessThanOrEqual(Math.ceil(size / k));
    expect([...test]).toEqual([...test].sort((a, b) => a - b));
  }
});

test('follows from the seed, and the events are mixed', () => {
  const tested = (seed: number) => [...folds(100, 5, seed)[0].test];
  expect(tested(1)).toEqual(tested(1));
  expect(tested(1)).not.toEqual(tested(2));
  expect(tested(1)).not.toEqual(Array.from({ length: 20 }, (_, i) => i * 5));
});

test('fewer than two folds or more than events are errors', () => {
  for (const k of [0, 1, 1.5, 11]) expect(() => folds(10, k, 1)).toThrow('an integer from 2 to 10');
});
