import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CUTOFFS, criterionOf, MISS, RankMetrics } from '../../train/evaluation/metrics.ts';

function metricsOf(...ranks: number[]) {
  const metrics = new RankMetrics();
  metrics.add(ranks);
  return metrics.result();
}

describe('RankMetrics', () => {
  test('hand-computed metrics', () => {
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
    // Of one relevant item, average precision is the reciprocal rank, and F1 is 2 / (k + 1) for a hit.
    close('MAP@10', (1 + 1 / 3 + 1 / 10) / 5);
    close('F1@10', (3 * (2 / 11)) / 5);
    close('MRR@1', 1 / 5);
    close('MRR@10', (1 + 1 / 3 + 1 / 10) / 5);
    close('MRR', (1 + 1 / 3 + 1 / 10 + 1 / 11) / 5);
  });

  test('hand-computed metrics of sets', () => {
    // Three relevant items at ranks 2, 4 and 30; two at 1 and never.
    const metrics = new RankMetrics();
    metrics.addUser([30, 2, 4]);
    metrics.addUser([MISS, 1]);
    const result = metrics.result();
    const close = (name: string, value: number) => expect(result[name], name).toBeCloseTo(value, 12);
    const gain = (rank: number) => 1 / Math.log2(rank + 1);
    close('HR@1', 1 / 2);
    close('HR@5', 1);
    close('NDCG@5', ((gain(2) + gain(4)) / (1 + gain(2) + gain(3)) + 1 / (1 + gain(2))) / 2);
    close('NDCG@1', (0 + 1) / 2);
    close('MRR', (1 / 2 + 1) / 2);
    close('MRR@1', 1 / 2);
    close('MAP@5', ((1 / 2 + 2 / 4) / 3 + 1 / 2) / 2);
    close('MAP@50', ((1 / 2 + 2 / 4 + 3 / 30) / 3 + 1 / 2) / 2);
    close('MAP@1', 1 / 2);
    close('Precision@5', (2 / 5 + 1 / 5) / 2);
    close('Recall@5', (2 / 3 + 1 / 2) / 2);
    // Precision 2/5 and recall 2/3; 1/5 and 1/2.
    close('F1@5', (1 / 2 + 2 / 7) / 2);
    expect(() => metrics.addUser([])).toThrow('no relevant item');
  });

  test('a perfect set is 1, and cutoffs beyond the depth are left out', () => {
    const metrics = new RankMetrics(20);
    metrics.addUser([3, 1, 2]);
    const result = metrics.result();
    for (const name of ['NDCG@5', 'MAP@5', 'Recall@5', 'MRR', 'NDCG@1', 'MAP@1']) expect(result[name]).toBe(1);
    expect(result['NDCG@20']).toBe(1);
    expect(result['NDCG@50']).toBeUndefined();
  });

  test('names every metric at every cutoff', () => {
    const names = CUTOFFS.flatMap((k) =>
      ['NDCG', 'HR', 'MRR', 'MAP', 'Precision', 'Recall', 'F1'].map((name) => `${name}@${k}`),
    );
    expect(Object.keys(metricsOf(1)).sort()).toEqual([...names, 'MRR'].sort());
  });

  test('a miss is Infinity or the largest u32, and counts 0', () => {
    expect(metricsOf(Infinity)).toEqual(metricsOf(MISS));
    expect(new Set(Object.values(metricsOf(MISS)))).toEqual(new Set([0]));
  });

  test.each([Number.NaN, 0, -1, 1.5, -Infinity])('a rank of %s is an error, never a hit', (rank) => {
    expect(() => metricsOf(1, rank)).toThrow(`got ${rank} for user 1`);
  });

  test('no user evaluated is an error, not NaN', () => {
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
          // DCG over a list of k positions with gain 1 at the target; the ideal DCG is 1.
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

test('chooses by NDCG@10 plus NDCG@50', () => {
  for (const rank of [1, 2, 10, 11, 50, 51, MISS]) {
    const ranks = new RankMetrics();
    ranks.add([rank]);
    const metrics = ranks.result();
    expect(criterionOf(rank)).toBeCloseTo(metrics['NDCG@10'] + metrics['NDCG@50'], 12);
  }
});
