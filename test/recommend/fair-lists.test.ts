/** Calibrated lists and exposure floors. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attributeShares, miscalibration } from '../../data/features/attribute-shares.ts';
import { exposureOf } from '../../data/features/exposure.ts';
import { type PostProcessingOptions, PostProcessing } from '../../recommend/reranking/post-processing.ts';
import { rerank } from '../../recommend/reranking/rerank.ts';
import golden from '../golden/fairness.json' with { type: 'json' };

const ITEMS = golden.genres.map((genres, row) => ({
  id: `i${row}`,
  title: `i${row}`,
  attributes: { genre: genres.join('|'), size: row % 3 === 0 ? 'Small' : 'large' },
  count: golden.counts[row],
}));
const after = new PostProcessing(ITEMS, new Map(ITEMS.map(({ id }, row) => [id, row])), undefined);
const valuesOf = (row: number): readonly string[] => golden.genres[row];
const order = (options: PostProcessingOptions, k: number, history: readonly number[] = []): number[] =>
  (after.plan(options).rerank?.(golden.candidates, k, history) ?? []).map(({ row }) => row);
const plain = golden.candidates.map(({ row }) => row);

describe('calibration', () => {
  it.each(golden.calibrated)('is the greedy of the definition: $history with $weight', ({ history, weight, rows }) => {
    expect(order({ calibrate: { genre: weight } }, rows.length, history)).toEqual(rows);
  });

  it('the mixes of a history and a list, and how far apart they are', () => {
    const p = attributeShares([0, 1, 1, 2], (row) => [['a'], ['a', 'b'], []][row]);
    expect(p).toEqual(
      new Map([
        ['a', expect.closeTo(2 / 3, 12)],
        ['b', expect.closeTo(1 / 3, 12)],
      ]),
    );
    expect(miscalibration(p, p)).toBeCloseTo(0, 12);
    expect(miscalibration(p, new Map())).toBeCloseTo(Math.log(100), 12);
    expect(miscalibration(new Map(), p)).toBeNaN();
    golden.histories.forEach((history, u) => {
      const value = miscalibration(attributeShares(history, valuesOf), attributeShares(golden.lists[u], valuesOf));
      if (golden.miscalibration[u] === null) expect(value).toBeNaN();
      else expect(value).toBeCloseTo(golden.miscalibration[u] as number, 10);
    });
  });

  it('leaves the order without a history, without values in it, and with a weight of 0', () => {
    expect(order({ calibrate: { genre: 1 } }, 14)).toEqual(plain);
    expect(order({ calibrate: { genre: 1 } }, 14, [5, 5])).toEqual(plain);
    expect(after.plan({ calibrate: { genre: 0 } }).rerank).toBe(null);
  });

  it('more weight, a smaller divergence of the whole list', () => {
    const [history] = golden.histories;
    const p = attributeShares(history, valuesOf);
    const of = (weight: number) =>
      miscalibration(p, attributeShares(order({ calibrate: { genre: weight } }, 6, history), valuesOf));
    expect(of(1)).toBeLessThan(of(0.1));
  });

  it('follows two attributes at once, within caps, and counts against diversity', () => {
    const [history] = golden.histories;
    const both = order({ calibrate: { genre: 0.4, size: 0.4 }, caps: { size: 3 } }, 8, history);
    expect(both).toHaveLength(6);
    expect(both).not.toEqual(order({ calibrate: { genre: 0.4 }, caps: { size: 3 } }, 8, history));
    const vectorOf = (row: number) => Float32Array.of(row % 2, 1 - (row % 2));
    const some = { k: 4, diversity: 0.5, vectorOf };
    const calibrations = [{ weight: 0.7, valuesOf, history }];
    expect(rerank(golden.candidates, { ...some, calibrations })).not.toEqual(rerank(golden.candidates, some));
  });
});

describe('exposure floors', () => {
  const floor = (share: number, value = 'small') => ({ expose: [{ attribute: 'size', value, share }] });
  const isSmall = (row: number) => row % 3 === 0;

  it('moves up as few items as it must: by hand', () => {
    const candidates = Array.from({ length: 12 }, (_, row) => ({ row, score: 12 - row }));
    const floors = [{ share: 0.2, has: (row: number) => row >= 9 }];
    // A fifth of the exposure is owed in full at rank 4 (.2 · 2.562 > .431), at rank 8 and, for the ten to have it, at rank 10.
    expect(rerank(candidates, { k: 10, floors }).map(({ row }) => row)).toEqual([0, 1, 2, 9, 3, 4, 5, 10, 6, 11]);
    expect(rerank(candidates, { k: 10, floors: [{ ...floors[0], share: 1 }] }).map(({ row }) => row)).toEqual([
      9, 10, 11, 0, 1, 2, 3, 4, 5, 6,
    ]);
  });

  it('is reached in the first ten, the first twenty and the whole list, with no other item where one is due; all keep their order', () => {
    const one = fc.record({
      k: fc.integer({ min: 1, max: 35 }),
      share: fc.double({ min: 0.01, max: 1, noNaN: true }),
      small: fc.uniqueArray(fc.integer({ min: 0, max: 79 }), { minLength: 40, maxLength: 60 }),
    });
    fc.assert(
      fc.property(one, ({ k, share, small }) => {
        const candidates = Array.from({ length: 80 }, (_, row) => ({ row, score: 80 - row }));
        const own = new Set(small);
        const rows = rerank(candidates, { k, floors: [{ share, has: (row) => own.has(row) }] }).map(({ row }) => row);
        expect(rows).toHaveLength(k);
        for (const part of [rows.filter((row) => own.has(row)), rows.filter((row) => !own.has(row))])
          expect(part).toEqual(part.toSorted((a, b) => a - b));
        let [exposed, all] = [0, 0];
        rows.forEach((row, at) => {
          all += exposureOf(at + 1);
          if (own.has(row)) exposed += exposureOf(at + 1);
          else expect(share * all - exposed).toBeLessThan(exposureOf(at + 1));
          if ((at + 1) % 10 === 0 || at + 1 === k) expect(exposed).toBeGreaterThanOrEqual(share * all - 1e-6);
        });
      }),
    );
  });

  it('is reached with few candidates, too, wherever they could reach it by coming first', () => {
    const one = fc.record({
      k: fc.integer({ min: 1, max: 10 }),
      share: fc.double({ min: 0.01, max: 1, noNaN: true }),
      small: fc.uniqueArray(fc.integer({ min: 0, max: 29 }), { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(one, ({ k, share, small }) => {
        const own = new Set(small);
        const candidates = Array.from({ length: 30 }, (_, row) => ({ row, score: 30 - row }));
        const rows = rerank(candidates, { k, floors: [{ share, has: (row) => own.has(row) }] }).map(({ row }) => row);
        const [reached, most, all] = [(at: number) => own.has(rows[at]), (at: number) => at < own.size, () => true].map(
          (counts) => rows.reduce((sum, _, at) => sum + (counts(at) ? exposureOf(at + 1) : 0), 0),
        );
        expect(reached).toBeGreaterThanOrEqual(Math.min(share * all, most) - 1e-6);
      }),
    );
  });

  it('a longer list starts like the list of ten', () => {
    expect(order(floor(0.4), 14).slice(0, 10)).toEqual(order(floor(0.4), 10));
  });

  it('changes nothing where the share is there already; where too few are left they come first', () => {
    expect(order(floor(0.01, 'large'), 14)).toEqual(plain);
    const all = order(floor(1), 14);
    const few = plain.filter(isSmall).length;
    expect(all.slice(0, few).every(isSmall)).toBe(true);
    expect([...all].sort()).toEqual([...plain].sort());
  });

  it('of two floors that no candidate can serve at once the first counts', () => {
    const expose = [...floor(1).expose, { attribute: 'size', value: 'large', share: 1 }];
    expect(order({ expose }, 3).every(isSmall)).toBe(true);
  });
});

it.each<[PostProcessingOptions, string]>([
  [{ calibrate: { colour: 0.5 } }, 'calibrate colour:0.5: no item has an attribute colour; there is genre, size'],
  [{ calibrate: { genre: 2 } }, 'calibrate genre: expected a number from 0 to 1, got 2'],
  [{ calibrate: { genre: 0.6, size: 0.6 } }, 'calibrate: the weights add up to 1.2; 1 is the most'],
  [
    { expose: [{ attribute: 'brand', value: 'x', share: 0.1 }] },
    'expose brand:x>=0.1: no item has an attribute brand; there is genre, size',
  ],
  [
    { expose: [{ attribute: 'size', value: 'tiny', share: 0.1 }] },
    "expose size:tiny>=0.1: no item's size is tiny; there is Small, large",
  ],
  [
    { expose: [{ attribute: 'size', value: 'small', share: 0 }] },
    'expose size:small: expected a share above 0, at most 1, got 0',
  ],
])('%j is refused in a line', (options, message) => {
  expect(() => after.plan(options)).toThrow(message);
});
