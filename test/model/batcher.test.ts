import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Batcher, MIN_TOKENS, roundUp } from '../../model/inference/batcher.ts';

/** A batcher of queries that are their own lengths, and the sizes of the batches that it created. */
function batcherOf(maxQueries: number) {
  const created: number[] = [];
  let disposed = 0;
  const batcher = new Batcher({
    lengthOf: (length: number) => length,
    maxQueries,
    sizeOf: (_, tokens) => ({ tokens }),
    create: ({ tokens }) => {
      created.push(tokens);
      return { tokens, dispose: () => void disposed++ };
    },
  });
  return { batcher, created, disposed: () => disposed };
}

describe('the batcher', () => {
  it('rounds up to powers of two', () => {
    expect([0, 1, 2, 3, 64, 65].map((n) => roundUp(n))).toEqual([1, 1, 2, 4, 64, 128]);
    expect(roundUp(3, 64)).toBe(64);
  });

  it('keeps all queries in order, in batches that hold them and are no larger than necessary', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20_000 })), fc.integer({ min: 1, max: 9 }), (lengths, most) => {
        const { batcher, created, disposed } = batcherOf(most);
        const groups = [...batcher.groups(lengths)];
        expect(groups.flatMap(({ queries }) => queries)).toEqual(lengths);
        let from = 0;
        for (const [g, group] of groups.entries()) {
          expect(group.from).toBe(from);
          from += group.queries.length;
          const tokens = group.queries.reduce((sum, length) => sum + length, 0);
          expect(group.queries.length).toBeGreaterThanOrEqual(1);
          expect(group.queries.length).toBeLessThanOrEqual(most);
          if (group.queries.length > 1) expect(tokens).toBeLessThanOrEqual(8192);
          expect(group.batch.tokens).toBe(roundUp(tokens, MIN_TOKENS));
          const next = groups[g + 1]?.queries[0];
          // The next query is left to the next batch only where it does not fit.
          if (next !== undefined) expect(group.queries.length === most || tokens + next > 8192).toBe(true);
        }
        expect(new Set(created).size).toBe(created.length);
        batcher.dispose();
        expect(disposed()).toBe(created.length);
      }),
    );
  });
});
