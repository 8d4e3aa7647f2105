import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batches, planEpoch, maxMasked } from '../../data/batching/batches.ts';
import type { Batch, BatchOptions } from '../../data/batching/batch.ts';
import { atOnce } from '../../data/pieces.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { datasetOf } from './bytes.ts';

const of = (histories: number[][]) => splitDataset(datasetOf(histories));
const numbers = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i);
const base: BatchOptions = { maxTokens: 64, window: 10, seed: 1, epoch: 0 };

describe('batches', () => {
  it('covers every training position once, in at most ceil(n / T) windows a history', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 1e9 }),
        fc.integer({ min: 0, max: 5 }),
        (lengths, window, spare, seed, epoch) => {
          // Every event has an item of its own, so that a batch says where its tokens come from.
          let next = 0;
          const split = of(lengths.map((length) => numbers(length, (next += length) - length)));
          const options = { maxTokens: window + spare, window, seed, epoch };
          const seen = new Map<number, number>();
          let windows = 0;
          let count = 0;
          for (const batch of batches(split, options)) {
            count++;
            checkLayout(batch, options);
            for (let i = 0; i < batch.tokens; i++) {
              seen.set(batch.items[i], (seen.get(batch.items[i]) ?? 0) + 1);
              expect(batch.targets[i]).toBe(batch.items[i] + 1);
              if (batch.positions[i] === 0) windows++;
            }
          }
          let expected = 0;
          for (let u = 0; u < split.users; u++) {
            const inputs = split.history(u, 'train').slice(0, -1);
            expected += Math.ceil(inputs.length / window);
            for (const item of inputs) expect(seen.get(item)).toBe(1);
          }
          expect(seen.size).toBe(split.trainPositions());
          expect(windows).toBe(expected);
          expect(atOnce(planEpoch(split, options)).count).toBe(count);
        },
      ),
    );
  });

  it('resumes in mid-epoch with the very batches that are left', () => {
    const split = of(numbers(40).map((u) => numbers(5 + ((u * 7) % 40))));
    const all = [...batches(split, base)];
    expect(all.length).toBeGreaterThan(5);
    expect([...atOnce(planEpoch(split, base)).batches(3)]).toEqual(all.slice(3));
    expect([...atOnce(planEpoch(split, base)).batches(all.length)]).toEqual([]);
    expect([...batches(split, base)]).toEqual(all);
  });

  it('differs by epoch and by seed, in order and in where windows start', () => {
    const split = of([numbers(38), numbers(60)]);
    const items = (options: Partial<BatchOptions>) =>
      [...batches(split, { ...base, ...options })].map((batch) => [...batch.items].join());
    expect(items({ epoch: 1 })).not.toEqual(items({}));
    expect(items({ seed: 2 })).not.toEqual(items({}));
    const begins = new Set<number>();
    for (const epoch of numbers(60)) {
      for (const batch of batches(of([numbers(38)]), { ...base, epoch })) {
        for (let i = 0; i < batch.tokens; i++) if (batch.positions[i] === 0) begins.add(batch.items[i]);
      }
    }
    // 35 positions, T 10, slack 5: the first window has 5 to 10 of them.
    expect([...begins].sort((a, b) => a - b)).toEqual([0, ...numbers(6, 5), ...numbers(6, 15), ...numbers(6, 25)]);
  });

  it('leaves little of the budget free', () => {
    const split = of(numbers(2000).map((u) => numbers(4 + ((u * u) % 97))));
    const filled = [...batches(split, { maxTokens: 640, window: 50, seed: 3, epoch: 0 })].map(
      (batch) => batch.tokens / 640,
    );
    expect(Math.min(...filled.slice(0, -1))).toBeGreaterThan(0.97);
  });

  it('yields nothing where there is nothing to learn, and refuses a window larger than the budget', () => {
    const short = of([[1], [2], [3, 4, 5]]);
    expect([...batches(short, base)]).toEqual([]);
    expect(atOnce(planEpoch(short, base)).count).toBe(0);
    expect(() => [...batches(short, { ...base, window: 65 })]).toThrow('does not fit');
  });
});

describe('batches of the cloze task', () => {
  const cloze = { share: 0.2, last: 0.25 };
  const MASK = 400;
  // Every event has an item of its own.
  const split = of(numbers(20).map((u) => numbers(20, 20 * u)));
  const all = (options: Partial<BatchOptions> = {}) => [...batches(split, { ...base, cloze, ...options })];

  it('covers every event once, hides a share of each window or only its last, and predicts what it hid', () => {
    const seen: number[] = [];
    let lastAlone = 0;
    let windows = 0;
    for (const { tokens, items, targets, weights, end, positions } of all()) {
      let sum = 0;
      for (let from = 0; from < tokens; from = end[from]) {
        windows++;
        const window = numbers(end[from] - from, from);
        const hidden = window.filter((i) => items[i] === MASK);
        for (const i of window) {
          expect(positions[i]).toBe(i - from);
          expect(weights[i] > 0).toBe(items[i] === MASK);
          if (items[i] !== MASK) expect(targets[i]).toBe(0);
          sum += weights[i];
          seen.push(items[i] === MASK ? targets[i] : items[i]);
        }
        const share = Math.max(1, Math.round(window.length * cloze.share));
        if (hidden.length === 1 && hidden[0] === end[from] - 1) lastAlone++;
        else expect(hidden.length).toBe(share);
      }
      expect(sum).toBeCloseTo(1, 5);
    }
    const train = numbers(20).flatMap((u) => [...split.history(u, 'train')]);
    expect(seen.sort((a, b) => a - b)).toEqual(train.sort((a, b) => a - b));
    expect(lastAlone).toBeGreaterThan(windows / 8);
    expect(lastAlone).toBeLessThan(windows / 2);
  });

  it('resumes in mid-epoch, and hides other events in another epoch', () => {
    expect([...atOnce(planEpoch(split, { ...base, cloze })).batches(2)]).toEqual(all().slice(2));
    expect(all({ epoch: 1 })).not.toEqual(all());
  });

  it('hides no more than there is place for', () => {
    const short = of(numbers(60).map((u) => numbers(3, 3 * u))); // a history of 3 trains as one event, and so is left out
    expect([...batches(short, { ...base, cloze })]).toEqual([]);
    const pairs = of(numbers(80).map((u) => numbers(4, 4 * u)));
    const most = maxMasked(base.maxTokens, cloze.share);
    for (const { items, tokens } of batches(pairs, { ...base, cloze })) {
      const hidden = [...items.subarray(0, tokens)].filter((item) => item === 320).length;
      expect(hidden).toBeLessThanOrEqual(most);
      expect(hidden).toBe(Math.min(most, tokens / 2));
    }
  });
});

function checkLayout(batch: Batch, { maxTokens: budget, window }: BatchOptions): void {
  const { tokens, items, positions, targets, weights, start, end } = batch;
  for (const array of [items, positions, targets, weights, start, end]) expect(array.length).toBe(budget);
  expect(tokens).toBeGreaterThan(0);
  for (let i = 0; i < budget; i++) {
    if (i >= tokens) {
      expect([items[i], positions[i], targets[i], weights[i], start[i], end[i]]).toEqual([0, 0, 0, 0, 0, 0]);
      continue;
    }
    expect(weights[i]).toBe(Math.fround(1 / tokens));
    expect(positions[i]).toBe(i - start[i]);
    expect(start[i] <= i && i < end[i] && end[i] <= tokens && end[i] - start[i] <= window).toBe(true);
    if (i > start[i]) expect([start[i], end[i], items[i]]).toEqual([start[i - 1], end[i - 1], targets[i - 1]]);
  }
}
