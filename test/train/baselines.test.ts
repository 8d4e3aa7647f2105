import { describe, expect, it } from 'vitest';
import { splitDataset } from '../../data/splits/split.ts';
import { type Baseline, markov, popularity, quickBaselines, windowedMarkov } from '../../train/baselines/baselines.ts';
import { MISS } from '../../train/evaluation/metrics.ts';
import { atOnce } from '../../data/pieces.ts';
import { evaluateBaseline } from '../../train/evaluation/ranking.ts';
import { datasetOf } from '../data/bytes.ts';
import { ranksOf } from './small.ts';

// Items are numbered by first appearance: rows equal the digits here. The last two events of each history are held out.
const split = splitDataset(datasetOf(['0 1 2 3 4', '0 1 0 2 1 3', '5 5 0 1']));
const scoresOf = (baseline: Baseline, history: number[]): number[] => {
  const out = new Float64Array(split.items).fill(7);
  baseline.scores(Uint32Array.from(history), out);
  return [...out];
};

describe('baselines', () => {
  it('popularity counts training events', () => {
    // training: 0 1 2 | 0 1 0 2 | 5 5; item rows: 0 1 2 3 4 5
    expect(scoresOf(popularity(split), [3])).toEqual([3, 2, 2, 0, 0, 2]);
  });

  it('markov counts what followed the last item, popularity between equals', () => {
    const next = scoresOf(markov(split), [4, 0]);
    expect(next.map(Math.floor)).toEqual([0, 2, 1, 0, 0, 0]);
    expect(next[0]).toBeGreaterThan(next[5]);
    expect(scoresOf(markov(split), [])).toEqual([3, 2, 2, 0, 0, 2].map((count) => count / 4));
    expect(scoresOf(markov(split), [5]).map(Math.floor)).toEqual([0, 0, 0, 0, 0, 1]);
  });

  it('windowed Markov weighs by lag, decays, normalizes and damps', () => {
    // 0 → 1: 1 + 1, 0 → 2: 1/2 + 1/3 + 1, 0 → 0: 1/2; 1 → 2: 1 + 1/2, 1 → 0: 1
    const zero = [1 / 2, 2, 1 / 2 + 1 / 3 + 1];
    const one = [1, 0, 1.5];
    const total = (row: number[]) => row.reduce((a, b) => a + b, 0);
    const expected = [3, 2, 2].map(
      (count, i) => (one[i] / total(one) + (0.8 * zero[i]) / total(zero)) / Math.sqrt(count),
    );
    const scores = scoresOf(windowedMarkov(split), [0, 1]);
    expected.forEach((value, i) => expect(scores[i]).toBeCloseTo(value, 6));
    expect(scores.slice(3)).toEqual([0, 0, 0]);
    expect(scoresOf(windowedMarkov(split), [4])).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe('ranks of baselines', () => {
  const fixed = (scores: number[]): Baseline => ({ name: 'fixed', scores: (_, out) => out.set(scores) });

  it('ranks ties behind the others, with seen items kept or excluded', () => {
    // test targets 4, 3, 1; histories 0 1 2 3 | 0 1 0 2 1 | 5 5 0
    const tied = fixed([1, 1, 1, 1, 1, 1]);
    expect(ranksOf(split, tied, { split: 'test', seen: 'kept' })).toEqual([6, 6, 6]);
    expect(ranksOf(split, tied, { split: 'test', seen: 'excluded' })).toEqual([2, 3, 4]);
    const apart = fixed([6, 5, 4, 3, 2, 1]);
    expect(ranksOf(split, apart, { split: 'test', seen: 'kept' })).toEqual([5, 4, 2]);
    expect(ranksOf(split, apart, { split: 'test', seen: 'excluded' })).toEqual([1, 1, 1]);
    const some = { split: 'test', seen: 'kept', only: new Set([0, 2]) } as const;
    expect([...(evaluateBaseline(split, apart, some)?.perUser.users ?? [])]).toEqual([0, 2]);
    expect(ranksOf(split, apart, some)).toEqual([5, 2]);
  });

  it('counts a target that was seen as a miss only while seen items are excluded', () => {
    // validation targets 3, 1, 0; the second history holds its target
    const scorer = fixed([6, 5, 4, 3, 2, 1]);
    const excluded = { split: 'valid', seen: 'excluded' } as const;
    expect(ranksOf(split, scorer, excluded)).toEqual([1, MISS, 1]);
    expect(evaluateBaseline(split, scorer, excluded)?.targetsInHistory).toBe(1 / 3);
    expect(ranksOf(split, scorer, { split: 'valid', seen: 'kept' })).toEqual([4, 2, 1]);
  });

  it('skips users who only train, ranks a single item first, refuses NaN', () => {
    const few = splitDataset(datasetOf(['1 2', '1 1 1']));
    const test = { split: 'test', seen: 'kept' } as const;
    for (const baseline of atOnce(quickBaselines(few))) {
      expect([...(evaluateBaseline(few, baseline, test)?.perUser.users ?? [])]).toEqual([1]);
      expect(ranksOf(few, baseline, test)[0]).toBeGreaterThanOrEqual(1);
    }
    expect(() => evaluateBaseline(few, fixed([1, Number.NaN]), test)).toThrow('NaN');
    expect(() => evaluateBaseline(few, fixed([Number.NaN, 1]), test)).toThrow('NaN');
    const one = splitDataset(datasetOf([[1, 1, 1]]));
    expect(ranksOf(one, popularity(one), test)).toEqual([1]);
  });
});
