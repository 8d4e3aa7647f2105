import { describe, expect, it } from 'vitest';
import { batches, planEpoch } from '../../data/batching/batches.ts';
import type { Batch, BatchOptions } from '../../data/batching/batch.ts';
import { continuationTokens } from '../../data/batching/continuations.ts';
import type { ContinuationBatch } from '../../data/batching/batch.ts';
import { atOnce } from '../../data/pieces.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { datasetOf } from './bytes.ts';

const numbers = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i);
const LENGTHS = [3, 40, 4, 25, 90, 12, 7];
// Every event has an item of its own, so that a batch says where its tokens come from.
const split = splitDataset(datasetOf(LENGTHS.map((n, u) => numbers(n, 100 * u))));
const base: BatchOptions = { maxTokens: 64, window: 16, seed: 1, epoch: 0, continuation: 5 };

describe('batches of continuations', () => {
  it.each([0, 1, 2])('cover every training position once, and read the events before it (epoch %i)', (epoch) => {
    const targets: number[] = [];
    let count = 0;
    for (const batch of batches(split, { ...base, epoch })) {
      count++;
      const next = batch.continuation as ContinuationBatch;
      expect(next.items.length).toBe(continuationTokens(64, 5));
      expect(next.weights.reduce((a, b) => a + b)).toBeCloseTo(1);
      expect(batch.weights.every((w) => w === 0)).toBe(true);
      for (let i = 0; i < next.tokens; i++) {
        targets.push(next.targets[i]);
        expect(next.end[i] - next.start[i]).toBeLessThanOrEqual(5);
        expect(next.positions[i]).toBe(i - next.start[i]);
        expect(next.items[i]).toBe(next.targets[i] - 1);
        // The history ends with what the decoder begins with, and is as long as the window allows.
        const history = [...batch.items.slice(next.keyStart[i], next.keyEnd[i])];
        const first = next.items[next.start[i]];
        expect(history).toEqual(numbers(history.length, first + 1 - history.length));
        const user = split.dataset.offsets.findLastIndex((offset) => offset <= first);
        expect(history.length).toBe(Math.min(16, first + 1 - split.dataset.offsets[user]));
      }
      layout(batch, next);
    }
    const all = numbers(split.users).flatMap((u) => [...split.history(u, 'train').slice(1)]);
    expect(targets.sort((a, b) => a - b)).toEqual(all.sort((a, b) => a - b));
    expect(atOnce(planEpoch(split, { ...base, epoch })).count).toBe(count);
  });

  it('cut histories elsewhere in another epoch, and resume in mid-epoch', () => {
    const cuts = (epoch: number) =>
      [...batches(split, { ...base, epoch })].map((b) => [...(b.continuation?.start ?? [])]);
    expect(cuts(0)).toEqual(cuts(0));
    expect(cuts(1)).not.toEqual(cuts(0));
    const all = [...batches(split, base)];
    expect([...atOnce(planEpoch(split, base)).batches(2)]).toEqual(all.slice(2));
  });
});

/** Each history's tokens name its continuation, and the other way round; both lie in the same order. */
function layout({ tokens, start, end }: Batch, next: ContinuationBatch): void {
  let [i, to] = [0, 0];
  while (i < tokens) {
    expect(next.queryStart[i]).toBe(to);
    to = next.queryEnd[i];
    expect([next.keyStart[to - 1], next.keyEnd[to - 1]]).toEqual([start[i], end[i]]);
    for (let j = i; j < end[i]; j++) expect([next.queryStart[j], next.queryEnd[j]]).toEqual([next.queryStart[i], to]);
    i = end[i];
  }
  expect(to).toBe(next.tokens);
  for (let j = tokens; j < start.length; j++) expect(next.queryEnd[j]).toBe(0);
}
