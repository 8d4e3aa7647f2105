import { describe, expect, it } from 'vitest';
import { prepare } from '../../data/dataset.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { type Baseline, markov, popularity, quickBaselines, windowedMarkov } from '../../train/baselines/baselines.ts';
import { MISS } from '../../train/evaluation/metrics.ts';
import { rankTargets } from '../../train/evaluation/ranking.ts';
import { logOf } from '../data/bytes.ts';

// Items are numbered by first appearance: rows equal the digits here. The last two events of each history are held out.
const split = splitDataset(
  prepare(
    logOf(
      [
        [0, 1, 2, 3, 4],
        [0, 1, 0, 2, 1, 3],
        [5, 5, 0, 1],
      ].map((h) => h.map(String)),
    ),
    { minInteractions: 1 },
  ),
);
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

describe('rankTargets', () => {
  const fixed = (scores: number[]): Baseline => ({ name: 'fixed', scores: (_, out) => out.set(scores) });

  it('ranks ties behind the others, with seen items kept or excluded', () => {
    // test targets 4, 3, 1; histories 0 1 2 3 | 0 1 0 2 1 | 5 5 0
    const tied = fixed([1, 1, 1, 1, 1, 1]);
    expect([...rankTargets(split, 'test', tied, { seen: 'kept' }).ranks]).toEqual([6, 6, 6]);
    expect([...rankTargets(split, 'test', tied, { seen: 'excluded' }).ranks]).toEqual([2, 3, 4]);
    const apart = fixed([6, 5, 4, 3, 2, 1]);
    expect([...rankTargets(split, 'test', apart, { seen: 'kept' }).ranks]).toEqual([5, 4, 2]);
    expect([...rankTargets(split, 'test', apart, { seen: 'excluded' }).ranks]).toEqual([1, 1, 1]);
    const some = rankTargets(split, 'test', apart, { seen: 'kept', only: new Set([0, 2]) });
    expect([[...some.users], [...some.ranks]]).toEqual([
      [0, 2],
      [5, 2],
    ]);
  });

  it('counts a target that was seen as a miss only while seen items are excluded', () => {
    // validation targets 3, 1, 0; the second history holds its target
    const scorer = fixed([6, 5, 4, 3, 2, 1]);
    const excluded = rankTargets(split, 'valid', scorer, { seen: 'excluded' });
    expect([[...excluded.ranks], excluded.repeats]).toEqual([[1, MISS, 1], 1]);
    expect([...rankTargets(split, 'valid', scorer, { seen: 'kept' }).ranks]).toEqual([4, 2, 1]);
  });

  it('skips users who only train, ranks a single item first, refuses NaN', () => {
    const few = splitDataset(
      prepare(
        logOf([
          [1, 2],
          [1, 1, 1],
        ]),
        { minInteractions: 1 },
      ),
    );
    for (const baseline of quickBaselines(few)) {
      const ranking = rankTargets(few, 'test', baseline, { seen: 'kept' });
      expect([...ranking.users]).toEqual([1]);
      expect(ranking.ranks[0]).toBeGreaterThanOrEqual(1);
    }
    expect(() => rankTargets(few, 'test', fixed([1, Number.NaN]), { seen: 'kept' })).toThrow('NaN');
    expect(() => rankTargets(few, 'test', fixed([Number.NaN, 1]), { seen: 'kept' })).toThrow('NaN');
    const one = splitDataset(prepare(logOf([[1, 1, 1]]), { minInteractions: 1 }));
    expect([...rankTargets(one, 'test', popularity(one), { seen: 'kept' }).ranks]).toEqual([1]);
  });
});
