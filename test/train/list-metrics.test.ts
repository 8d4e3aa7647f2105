import { describe, expect, test } from 'vitest';
import { attributeDistance, vectorDistance } from '../../train/evaluation/diversity.ts';
import { gini, ListMetrics } from '../../train/evaluation/list-metrics.ts';
import { MISS } from '../../train/evaluation/metrics.ts';

const context = (counts: number[], users = 8) => ({ counts, holders: counts, users });

describe('ListMetrics', () => {
  test('hand-computed coverage, popularity, Gini and novelty', () => {
    const metrics = new ListMetrics(context([8, 4, 2, 1, 0]), 2);
    metrics.add([0, 1, 4]);
    metrics.add([0, 2, 4]);
    const result = metrics.result();
    expect(result['Coverage@2']).toBeCloseTo(3 / 5, 12);
    expect(result['MeanPopularity@2']).toBeCloseTo((6 + 3 + 2) / 2, 12);
    // −log2(8/8) = 0, −log2(4/8) = 1, −log2(2/8) = 2 bits.
    expect(result['Novelty@2']).toBeCloseTo((1 / 2 + 2 / 2) / 2, 12);
    // Shown 0, 0, 1, 1, 2 times: Σ (2j − 6) n = 0·1 + 2·1 + 4·2 = 10, over 5 · 4.
    expect(result['Gini@2']).toBeCloseTo(10 / 20, 12);
    expect(result['Diversity@2']).toBeUndefined();
  });

  test('Gini is 0 where all are alike, near 1 where one has all', () => {
    expect(gini(Float64Array.of(3, 3, 3))).toBe(0);
    expect(gini(Float64Array.of(0, 0, 0, 9))).toBeCloseTo(3 / 4, 12);
    expect(gini(Float64Array.of(0, 0))).toBe(0);
  });

  test('an item without events is as novel as one that one user had', () => {
    const metrics = new ListMetrics(context([1, 0], 4));
    metrics.add([1]);
    metrics.add([0]);
    expect(metrics.result()['Novelty@10']).toBe(2);
  });

  test('diversity is the mean over pairs, then over users with two items or more', () => {
    const distance = (a: number, b: number) => Math.abs(a - b) / 10;
    const metrics = new ListMetrics({ ...context([1, 1, 1, 1]), distance });
    metrics.add([0, 1, 3]); // 1, 3, 2 tenths
    metrics.add([2]);
    metrics.add([0, 2]);
    expect(metrics.result()['Diversity@10']).toBeCloseTo((0.2 + 0.2) / 2, 12);
  });

  test('skips empty positions', () => {
    const metrics = new ListMetrics(context([10, 20, 30], 30));
    metrics.add([2, MISS]);
    metrics.add([MISS, MISS]);
    expect(metrics.users).toBe(2);
    expect(metrics.result()).toMatchObject({ 'Coverage@10': 1 / 3, 'MeanPopularity@10': 15, 'Novelty@10': 0 });
  });

  test('a row outside the catalog, NaN and no list at all are errors', () => {
    const metrics = new ListMetrics(context([1, 1]));
    expect(() => metrics.add([2])).toThrow('item row below 2, got 2');
    expect(() => metrics.add([Number.NaN])).toThrow('got NaN');
    expect(() => new ListMetrics(context([1])).result()).toThrow('no list');
  });
});

describe('distances', () => {
  test('attributes: Jaccard of kinds, numbers and names of their own left out', () => {
    const item = (genre: string, year: string, link: string) => ({ genre, year, link });
    const distance = attributeDistance([
      item('Comedy|Drama', '1990', 'a'),
      item('Comedy', '1991', 'b'),
      item('Drama, Comedy', '1992', 'c'),
      item('Drama', '1993', 'd'),
      {} as ReturnType<typeof item>,
    ]);
    expect(distance?.(0, 1)).toBe(1 / 2);
    expect(distance?.(0, 2)).toBe(0);
    expect(distance?.(1, 3)).toBe(1);
    expect(distance?.(0, 4)).toBeNaN();
    expect(attributeDistance([{ year: '1990' }, { year: '1990' }, {}])).toBe(null);
  });

  test('genres separated by spaces are taken apart, two words of one kind are not', () => {
    const genres = [
      'Action Drama',
      'Drama',
      'Action',
      'Drama War',
      'Action War',
      'War',
      'Action Drama War',
      'War Drama',
    ];
    const distance = attributeDistance([...genres, ...genres].map((genre) => ({ genre })));
    expect(distance?.(0, 1)).toBe(1 / 2);
    const colours = ['light blue', 'light blue', 'dark red', 'dark red'].map((colour) => ({ colour }));
    expect(attributeDistance(colours)?.(0, 2)).toBe(1);
  });

  test('vectors: half of 1 − cosine', () => {
    const distance = vectorDistance(Float32Array.of(1, 0, 0, 2, -3, 0, 0, 0), 2);
    expect(distance(0, 1)).toBeCloseTo(1 / 2, 12);
    expect(distance(0, 2)).toBeCloseTo(1, 12);
    expect(distance(0, 0)).toBeCloseTo(0, 12);
    expect(distance(0, 3)).toBeNaN();
  });
});
