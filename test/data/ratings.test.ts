import { describe, expect, it } from 'vitest';
import { prepare } from '../../data/dataset.ts';
import type { Log } from '../../data/log.ts';
import { isRatingSplit, parseRatingSplit, ratingRounds, ratingSplitFlag } from '../../data/ratings/split.ts';
import { around, packWindows, type RatingWindow, testWindows, trainingWindows } from '../../data/ratings/windows.ts';
import { asWritten, levelsOf, type Ratings, ratingsOf } from '../../data/ratings/ratings.ts';
import { inferEvents, SideFeatureEncoder } from '../../data/features/event-encoder.ts';
import { readText } from './bytes.ts';

/** Rows of [user, item, rating, time]. */
function log(rows: readonly [string, string, number, number][]): Log {
  const ids = (column: 0 | 1) => [...new Set(rows.map((row) => row[column]))];
  const [userIds, itemIds] = [ids(0), ids(1)];
  return {
    userIds,
    itemIds,
    user: Uint32Array.from(rows, ([u]) => userIds.indexOf(u)),
    item: Uint32Array.from(rows, ([, i]) => itemIds.indexOf(i)),
    rating: Float64Array.from(rows, ([, , r]) => r),
    time: Float64Array.from(rows, ([, , , t]) => t),
    size: rows.length,
    source: 'log.csv',
    notes: [],
  };
}

const ROWS: [string, string, number, number][] = [
  ['a', 'x', 5, 30],
  ['b', 'x', 1, 1],
  ['a', 'y', 3, 10],
  ['a', 'z', 4, Number.NaN],
  ['c', 'z', Number.NaN, 2],
  ['a', 'w', 2, 10],
];

/** A log of `users` users with `each` ratings in time order. */
function many(users: number, each: number): Ratings {
  const rows: [string, string, number, number][] = [];
  for (let u = 0; u < users; u++)
    for (let i = 0; i < each; i++) rows.push([`u${u}`, `i${(u + i) % 9}`, 1 + (i % 5), i]);
  return ratingsOf(log(rows), 'rating');
}

describe('ratings', () => {
  it('keeps every row with a rating, by user in time order, unknown times first and ties in file order', () => {
    const r = ratingsOf(log(ROWS), 'rating');
    expect(r.size).toBe(5);
    expect(r.userIds).toEqual(['a', 'b']);
    expect(r.itemIds).toEqual(['x', 'y', 'z', 'w']);
    const ofA = [...r.order.subarray(r.starts[0], r.starts[1])].map((row) => r.itemIds[r.item[row]]);
    expect(ofA).toEqual(['z', 'y', 'w', 'x']);
    expect([...r.levels]).toEqual([1, 2, 3, 4, 5]);
    expect([...r.level].map((k) => r.levels[k])).toEqual([...r.value]);
    expect(r.notes.join()).toContain('1 rows without a rating');
  });

  it('turns ratings into labels by a threshold', () => {
    const r = ratingsOf(log(ROWS), 'ctr', 4);
    expect([...r.value]).toEqual([1, 0, 0, 1, 0]);
    expect([...r.levels]).toEqual([0, 1]);
    expect(ratingsOf(log(ROWS), 'ctr').positive).toBe(4);
    expect(ratingsOf(log(ROWS.map(([u, i, r, t]) => [u, i, r > 2 ? 1 : 0, t])), 'ctr').positive).toBe(1);
  });

  it('states in one line what is missing and what to do', () => {
    expect(() => ratingsOf({ ...log(ROWS), rating: null }, 'rating')).toThrow(
      /no rating column.*`columns\.rating: NAME`/,
    );
    expect(() => ratingsOf(log(ROWS.map(([u, i, , t]) => [u, i, 4, t])), 'rating')).toThrow(/every rating is 4/);
    expect(() => ratingsOf(log(ROWS), 'ctr', 9)).toThrow(/every row is negative with `positive: 9`/);
  });

  it('puts many distinct ratings into levels of about equal size, each their mean', () => {
    const value = Float32Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1000);
    const { level, levels } = levelsOf(value);
    expect(levels).toHaveLength(20);
    const sums = new Float64Array(20);
    const counts = new Float64Array(20);
    level.forEach((k, i) => {
      sums[k] += value[i];
      counts[k]++;
    });
    counts.forEach((n, k) => {
      expect(n).toBe(50);
      expect(levels[k]).toBeCloseTo(sums[k] / n, 3);
    });
  });
});

describe('splits of ratings', () => {
  it('are written and read', () => {
    for (const text of ['folds:k=7', 'random:test=0.2', 'last'])
      expect(ratingSplitFlag(parseRatingSplit(text))).toBe(text);
    expect(parseRatingSplit('folds')).toEqual({ name: 'folds', k: 5 });
    expect(parseRatingSplit('random')).toEqual({ name: 'random', test: 0.1 });
    expect(parseRatingSplit('cold')).toEqual({ name: 'cold', test: 0.2 });
    for (const wrong of ['folds:k=1', 'folds:k=', 'random:test=1', 'random:k=5', 'last:k=2', 'ratio'])
      expect(() => parseRatingSplit(wrong), wrong).toThrow(wrong);
    expect(isRatingSplit('ratio')).toBe(false);
  });

  it('test every rating once, a share of them or of the items, or the last of each user', () => {
    const r = many(10, 8);
    const folds = ratingRounds(r, { name: 'folds', k: 4 }, 1);
    expect(folds.flatMap(({ test }) => [...test]).sort((a, b) => a - b)).toEqual([...Array(80).keys()]);
    for (const { train, test } of folds) expect(train.length + test.length).toBe(80);
    const [random] = ratingRounds(r, { name: 'random', test: 0.1 }, 1);
    expect([random.train.length, random.test.length]).toEqual([72, 8]);
    expect(ratingRounds(r, { name: 'random', test: 0.1 }, 2)[0].test).not.toEqual(random.test);
    const [cold] = ratingRounds(r, { name: 'cold', test: 0.25 }, 1);
    const items = new Set(Array.from(cold.test, (row) => r.item[row]));
    expect(items.size).toBe(Math.round(0.25 * r.itemIds.length));
    expect(Array.from(cold.train, (row) => r.item[row]).some((item) => items.has(item))).toBe(false);
    const [last] = ratingRounds(r, { name: 'last' }, 1);
    expect([...last.test]).toEqual(Array.from({ length: 10 }, (_, u) => 8 * u + 7));
    const once = ratingsOf(
      log([
        ['a', 'x', 1, 0],
        ['b', 'x', 2, 0],
      ]),
      'rating',
    );
    expect(() => ratingRounds(once, { name: 'last' }, 1)).toThrow(/too small/);
    expect(() => ratingRounds(once, { name: 'folds', k: 5 }, 1)).toThrow('at least 3 ratings');
  });
});

describe('windows of ratings', () => {
  const r = many(6, 23);

  it('hold every training rating once, known in time order, with the positions of the hidden ones', () => {
    const windows = trainingWindows(r, { window: 8, share: 0.3, tail: 0, seed: 1, epoch: 0 });
    const rows = windows.flatMap(({ context, targets }) => [...context, ...targets]);
    expect(rows.sort((a, b) => a - b)).toEqual([...Array(r.size).keys()]);
    for (const { context, targets, positions } of windows) {
      expect(targets.length).toBeGreaterThan(0);
      expect(context.length + targets.length).toBeLessThanOrEqual(8);
      targets.forEach((row, i) => {
        expect(positions[i]).toBe(context.filter((known) => known < row).length);
      });
    }
    const again = trainingWindows(r, { window: 8, share: 0.3, tail: 0, seed: 1, epoch: 0 });
    expect(again).toEqual(windows);
    expect(trainingWindows(r, { window: 8, share: 0.3, tail: 0, seed: 1, epoch: 1 })).not.toEqual(windows);
  });

  it('hide the last ratings if those are predicted', () => {
    for (const { context, targets, positions } of trainingWindows(r, {
      window: 8,
      share: 0.3,
      tail: 1,
      seed: 1,
      epoch: 0,
    })) {
      expect(Math.max(-1, ...context)).toBeLessThan(Math.min(...targets));
      expect([...positions].every((position) => position === context.length)).toBe(true);
    }
  });

  it('predict every tested rating once, among the known ones around it, and never from tested ones', () => {
    const tested = Uint8Array.from({ length: r.size }, (_, row) => (row % 5 === 0 ? 1 : row % 7 === 0 ? 2 : 0));
    const windows = testWindows(r, tested, 6);
    const rows = windows.flatMap(({ targets }) => [...targets]);
    expect(rows.sort((a, b) => a - b)).toEqual([...tested.keys()].filter((row) => tested[row] === 1));
    for (const { context, targets, positions } of windows) {
      expect(context.length).toBeLessThanOrEqual(6);
      expect([...context].every((row) => tested[row] === 0)).toBe(true);
      targets.forEach((row, i) => {
        expect(positions[i]).toBe(context.filter((known) => known < row).length);
      });
    }
  });

  it('are centered on their targets', () => {
    const context = Uint32Array.from({ length: 20 }, (_, i) => i);
    const [first, middle, last] = around(context, Uint32Array.of(90, 91, 92), Uint32Array.of(0, 10, 20), 8);
    expect([...first.context]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(middle.context[0]).toBe(8);
    expect(middle.positions[0]).toBe(2);
    expect([last.context[0], last.positions[0]]).toEqual([12, 8]);
  });

  it('are packed into batches; too many targets are split', () => {
    const one: RatingWindow = {
      context: Uint32Array.of(1, 2, 3),
      targets: Uint32Array.from({ length: 5 }, (_, i) => 10 + i),
      positions: new Uint32Array(5),
    };
    const batches = [...packWindows([one, one], 6, 3)];
    expect(batches.map((batch) => batch.map(({ targets }) => targets.length))).toEqual([[3], [2], [3], [2]]);
    expect(() => [...packWindows([one], 2, 3)]).toThrow('3 known ratings in a batch of 2');
  });
});

describe('too few ratings for the folds', () => {
  it('following the hint works', () => {
    for (let size = 0; size <= 12; size++) {
      for (let k = 2; k <= 15; k++) {
        const ratings = { size, source: 'log.csv' } as Ratings;
        const rounds = (folds: number) => ratingRounds(ratings, { name: 'folds', k: folds }, 1);
        const enough = (folds: number) => {
          const all = rounds(folds);
          expect(all.every(({ train, test }) => train.length >= 2 && test.length >= 1)).toBe(true);
        };
        try {
          enough(k);
        } catch (error) {
          const message = (error as Error).message;
          const advice = /give `folds: (\d+)`$/.exec(message);
          if (advice) enough(Number(advice[1]));
          else
            expect(message).toBe(`log.csv: expected at least 3 ratings, to test one and learn from two; got ${size}`);
        }
      }
    }
  });
});

describe('ratings in double precision', () => {
  /** .1 to 10.0 in steps of a tenth, as people write them. */
  const tenths = Array.from({ length: 100 }, (_, i) => (i + 1) / 10);
  const csv = `user,item,rating\n${tenths.map((r, i) => `u${i % 7},i${i % 5},${r.toFixed(1)}`).join('\n')}\n`;
  const read = () => readText(csv);

  it('a threshold keeps the rows that are rated exactly so', async () => {
    const log = await read();
    for (const threshold of tenths) {
      const expected = tenths.filter((rating) => rating >= threshold).length;
      expect(prepare(log, { minInteractions: 1, minRating: threshold }).report.interactions, `${threshold}`).toBe(
        expected,
      );
      if (threshold === 0.1) continue;
      const positives = ratingsOf(log, 'ctr', threshold).value.reduce((sum, value) => sum + value, 0);
      expect(positives, `${threshold}`).toBe(expected);
    }
  });

  it('prints ratings as they were written, also those that went through single precision', async () => {
    for (const rating of [...tenths, 4.25, 2 / 3, 1e-7, 123456.7, 0, -1.1]) {
      const printed = asWritten(Math.fround(rating));
      expect(Math.fround(printed)).toBe(Math.fround(rating));
      expect(String(printed).length).toBeLessThanOrEqual(String(rating).length);
    }
    expect(tenths.map((rating) => asWritten(Math.fround(rating)))).toEqual(tenths);
    expect(ratingsOf(await read(), 'rating').range).toEqual({ least: 0.1, most: 10 });
    const same = csv.replaceAll(/,[\d.]+$/gm, ',2.2');
    const log = await readText(same);
    expect(() => ratingsOf(log, 'rating')).toThrow('every rating is 2.2,');
  });

  it('a threshold that no rating reaches is an error that names the highest rating as written', async () => {
    const log = await readText('user,item,rating\na,x,3.6\nb,y,2.2\n');
    expect(() => prepare(log, { minInteractions: 1, minRating: 3.7 })).toThrow('the highest is 3.6');
  });

  it('events read ratings in double precision, and those that earlier versions stored in single precision', async () => {
    const log = await read();
    const dataset = prepare(
      { ...log, rating: log.rating?.map((r) => Math.ceil(r) / 5) ?? null },
      { minInteractions: 1 },
    );
    const [column] = inferEvents(dataset, ['rating'], 'log.csv');
    expect(column.values).toEqual(['0.2', '0.4', '0.6', '0.8', '1', '1.2', '1.4', '1.6', '1.8', '2']);
    const old = { ...column, values: column.values?.map((value) => String(Math.fround(Number(value)))) };
    for (const encoder of [new SideFeatureEncoder({ events: [column] }), new SideFeatureEncoder({ events: [old] })]) {
      const unseen = new Map<string, number>();
      const rows = column.values?.map((value) => encoder.eventBag({ rating: Number(value) }, unseen));
      expect(rows).toEqual(column.values?.map((_, i) => [[2 + i, 1]]));
      expect(unseen.size).toBe(0);
    }
    const [many] = inferEvents(prepare(log, { minInteractions: 1 }), ['rating'], 'log.csv');
    const single = { ...many, knots: many.knots?.map(Math.fround) };
    const bags = [many, single].map((events) => {
      const encoder = new SideFeatureEncoder({ events: [events] });
      return tenths.map((rating) => encoder.eventBag({ rating }));
    });
    expect(bags[0]).toEqual(bags[1]);
    expect(bags[0].at(-1)).toEqual([[2 + (many.knots as number[]).length - 1, 1]]);
  });
});
