import { describe, expect, test } from 'vitest';
import { seeded } from '../../data/random.ts';
import { bootstrap, paired } from '../../train/evaluation/statistics.ts';

const random = seeded(7, 0);
const noise = Float64Array.from({ length: 400 }, () => random.next());

describe('bootstrap', () => {
  test('has the width of the central limit theorem', () => {
    const { mean, low, high } = bootstrap(noise, 1);
    const exact = noise.reduce((sum, x) => sum + x, 0) / 400;
    const spread = Math.sqrt(noise.reduce((sum, x) => sum + (x - exact) ** 2, 0) / 400 / 400);
    expect(mean).toBeCloseTo(exact, 12);
    expect(low).toBeLessThan(mean);
    expect((high - low) / (2 * 1.96 * spread)).toBeGreaterThan(0.9);
    expect((high - low) / (2 * 1.96 * spread)).toBeLessThan(1.1);
  });

  test('follows from the seed; no spread, no width; nobody is an error', () => {
    expect(bootstrap(noise, 3)).toEqual(bootstrap(noise, 3));
    expect(bootstrap(noise, 3)).not.toEqual(bootstrap(noise, 4));
    expect(bootstrap([0.5, 0.5], 1)).toEqual({ mean: 0.5, low: 0.5, high: 0.5 });
    expect(() => bootstrap([], 1)).toThrow('at least one user');
  });
});

describe('paired', () => {
  test('the same recommender twice is no difference', () => {
    expect(paired(noise, noise, 1)).toEqual({ mean: 0, low: 0, high: 0, p: 1 });
  });

  test('a small but steady gain is found, where unpaired intervals overlap', () => {
    const better = noise.map((x) => x + 0.01);
    const { mean, low, p } = paired(better, noise, 1);
    expect(mean).toBeCloseTo(0.01, 12);
    expect(low).toBeGreaterThan(0);
    expect(p).toBe(1 / 10_000);
    expect(bootstrap(noise, 1).high).toBeGreaterThan(bootstrap(better, 1).low);
  });

  test('the p-value of a tiny sample is that of all its sign patterns', () => {
    // Of the 8 patterns of ±1 ±2 ±3, two have a sum as far from 0 as 6; of +1 +2 −3 (sum 0) all have.
    expect(paired([1, 2, 3], [0, 0, 0], 1).p).toBeCloseTo(2 / 8, 1.5);
    expect(paired([1, 2, 0], [0, 0, 3], 1).p).toBe(1);
    // 4 of 8 reach 4: ±6 and ±4.
    expect(paired([0, 2, 3], [1, 0, 0], 1).p).toBeCloseTo(4 / 8, 1.5);
  });

  test('is uniform where there is nothing to find', () => {
    // Of 60 made experiments without a difference about a twentieth falls below 0.05.
    let found = 0;
    for (let round = 0; round < 60; round++) {
      const draw = seeded(round, 1);
      const [a, b] = [0, 1].map(() => Float64Array.from({ length: 40 }, () => draw.next()));
      if (paired(a, b, round).p < 0.05) found++;
    }
    expect(found).toBeLessThanOrEqual(9);
  });

  test('different users are an error', () => {
    expect(() => paired([1], [1, 2], 1)).toThrow('the same users');
  });
});
