import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CUTOFFS, ListMetrics, MISS, RankMetrics } from '../../train/metrics.ts';

function metricsOf(...ranks: number[]) {
  const metrics = new RankMetrics();
  metrics.add(ranks);
  return metrics.result();
}

describe('RankMetrics', () => {
  test('hand-computed figures', () => {
    // Ranks 1, 3, 10, 11 and a miss.
    const metrics = metricsOf(1, 3, 10, 11, MISS);
    const close = (name: string, value: number) => expect(metrics[name], name).toBeCloseTo(value, 12);
    close('HR@1', 1 / 5);
    close('HR@5', 2 / 5);
    close('HR@10', 3 / 5);
    close('HR@20', 4 / 5);
    close('Recall@10', 3 / 5);
    close('Precision@10', 3 / 50);
    close('Precision@5', 2 / 25);
    // 1/log2(2) = 1, 1/log2(4) = 0.5, 1/log2(11) = 0.28906482631788782
    close('NDCG@1', 1 / 5);
    close('NDCG@5', 1.5 / 5);
    close('NDCG@10', (1.5 + 0.289064826317888) / 5);
    close('MRR@1', 1 / 5);
    close('MRR@10', (1 + 1 / 3 + 1 / 10) / 5);
    close('MRR', (1 + 1 / 3 + 1 / 10 + 1 / 11) / 5);
  });

  test('names every figure at every cutoff', () => {
    const names = CUTOFFS.flatMap((k) => ['NDCG', 'HR', 'MRR', 'Precision', 'Recall'].map((name) => `${name}@${k}`));
    expect(Object.keys(metricsOf(1)).sort()).toEqual([...names, 'MRR'].sort());
  });

  test('a miss is Infinity or the largest u32, and counts 0', () => {
    expect(metricsOf(Infinity)).toEqual(metricsOf(MISS));
    expect(new Set(Object.values(metricsOf(MISS)))).toEqual(new Set([0]));
  });

  test.each([Number.NaN, 0, -1, 1.5, -Infinity])('a rank of %s is an error, never a hit', (rank) => {
    expect(() => metricsOf(1, rank)).toThrow(`got ${rank} for user 1`);
  });

  test('nobody evaluated is an error, not NaN', () => {
    expect(() => new RankMetrics().result()).toThrow('no user');
  });

  const ranks = fc.array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constant(MISS), fc.constant(Infinity)), {
    minLength: 1,
    maxLength: 60,
  });

  test('agrees with the definitions written as sums', () => {
    fc.assert(
      fc.property(ranks, (ranks) => {
        const metrics = metricsOf(...ranks);
        const mean = (value: (rank: number) => number) => ranks.reduce((sum, r) => sum + value(r), 0) / ranks.length;
        for (const k of CUTOFFS) {
          // DCG over a list of k places with gain 1 at the target; the ideal DCG is 1.
          const dcg = (r: number) =>
            Array.from({ length: k }, (_, i) => (i + 1 === r ? 1 : 0) / Math.log2(i + 2)).reduce((a, b) => a + b, 0);
          expect(metrics[`NDCG@${k}`]).toBeCloseTo(mean(dcg), 12);
          expect(metrics[`HR@${k}`]).toBeCloseTo(
            mean((r) => (r <= k ? 1 : 0)),
            12,
          );
          expect(metrics[`MRR@${k}`]).toBeCloseTo(
            mean((r) => (r <= k ? 1 / r : 0)),
            12,
          );
          expect(metrics[`Precision@${k}`]).toBeCloseTo(metrics[`Recall@${k}`] / k, 12);
        }
      }),
    );
  });

  test('streaming in any parts gives the same bits', () => {
    fc.assert(
      fc.property(ranks, fc.nat({ max: 60 }), (ranks, cut) => {
        const parts = new RankMetrics();
        parts.add(ranks.slice(0, cut));
        parts.add(Float64Array.from(ranks.slice(cut)));
        expect(parts.result()).toEqual(metricsOf(...ranks));
      }),
    );
  });

  test('ordered: within [0, 1], growing with k, MRR@k ≤ NDCG@k ≤ HR@k', () => {
    fc.assert(
      fc.property(ranks, (ranks) => {
        const metrics = metricsOf(...ranks);
        CUTOFFS.forEach((k, i) => {
          const [mrr, ndcg, hr] = [metrics[`MRR@${k}`], metrics[`NDCG@${k}`], metrics[`HR@${k}`]];
          expect(mrr).toBeGreaterThanOrEqual(0);
          expect(mrr).toBeLessThanOrEqual(ndcg + 1e-12);
          expect(ndcg).toBeLessThanOrEqual(hr + 1e-12);
          expect(hr).toBeLessThanOrEqual(1);
          if (i > 0) expect(ndcg).toBeGreaterThanOrEqual(metrics[`NDCG@${CUTOFFS[i - 1]}`]);
        });
      }),
    );
  });
});

describe('ListMetrics', () => {
  test('hand-computed coverage and popularity', () => {
    const metrics = new ListMetrics([8, 4, 2, 1, 0], 2);
    metrics.add(new Uint32Array([0, 1, 4, 0, 2, 4]), 3); // lists [0, 1] and [0, 2] at k = 2
    const { 'Coverage@2': coverage, 'MeanPopularity@2': popularity } = metrics.result();
    expect(coverage).toBeCloseTo(3 / 5, 12);
    expect(popularity).toBeCloseTo((6 + 5) / 2, 12);
  });

  test('streams, and skips empty places', () => {
    const metrics = new ListMetrics(Uint32Array.of(10, 20, 30));
    metrics.add(Uint32Array.of(2, MISS), 2);
    metrics.add(Uint32Array.of(MISS, MISS), 2);
    expect(metrics.users).toBe(2);
    expect(metrics.result()).toEqual({ 'Coverage@10': 1 / 3, 'MeanPopularity@10': 15 });
  });

  test('a row outside the catalogue, NaN, a torn matrix and no list at all are errors', () => {
    const metrics = new ListMetrics([1, 1]);
    expect(() => metrics.add([2], 1)).toThrow('item row below 2, got 2');
    expect(() => metrics.add([Number.NaN], 1)).toThrow('got NaN');
    expect(() => metrics.add([0, 1, 0], 2)).toThrow('rows of 2');
    expect(() => new ListMetrics([1]).result()).toThrow('no list');
  });
});
