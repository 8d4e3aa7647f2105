import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { prepare } from '../../data/dataset.ts';
import { InputError } from '../../data/errors.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { requireTrainable } from '../../data/splits/checks.ts';
import { datasetOf, logOf, readText } from './bytes.ts';

const names = (dataset: ReturnType<typeof prepare>, u: number) =>
  Array.from(dataset.items.subarray(dataset.offsets[u], dataset.offsets[u + 1]), (item) => dataset.itemIds[item]);

describe('prepare', () => {
  it('sorts by time, keeps file order between equal times, puts unknown times first', async () => {
    const log = await readText(
      'user,item,ts,rating\na,late,9,1\nb,x,1,2\na,tie1,5,3\na,none1,,4\na,tie2,5,5\na,early,-3,6\na,none2,-1,7\n',
    );
    const dataset = prepare(log, { minInteractions: 1 });
    expect(dataset.userIds).toEqual(['a', 'b']);
    expect(names(dataset, 0)).toEqual(['none1', 'none2', 'early', 'tie1', 'tie2', 'late']);
    expect(dataset.ratings).toEqual(Float64Array.of(4, 7, 6, 3, 5, 1, 2));
    expect(names(dataset, 1)).toEqual(['x']);
  });

  it('leaves a k-core, the largest one, and reports what it removed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 8 }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.integer({ min: 1, max: 4 }),
        (histories, k) => {
          // The plain definition, one removal at a time.
          let rows = histories.flatMap((history, u) => history.map((item) => [`u${u}`, String(item)]));
          for (;;) {
            const few = (column: number) => (id: string) => rows.filter((row) => row[column] === id).length < k;
            const gone = rows.find((row) => few(0)(row[0]) || few(1)(row[1]));
            if (!gone) break;
            const column = few(0)(gone[0]) ? 0 : 1;
            rows = rows.filter((row) => row[column] !== gone[column]);
          }
          const log = logOf(histories);
          if (rows.length === 0) {
            expect(() => prepare(log, { minInteractions: k })).toThrow(InputError);
            return;
          }
          const dataset = prepare(log, { minInteractions: k });
          const kept = dataset.userIds.flatMap((user, u) => names(dataset, u).map((item) => [user, item]));
          expect(kept).toEqual(rows);
          const { report } = dataset;
          expect(report.removedInteractions).toBe(log.size - rows.length);
          expect(report.removedUsers).toBe(histories.length - report.users);
          expect(report.removedItems).toBe(log.itemIds.length - report.items);
        },
      ),
    );
  });

  it('counts only what reaches the minimum rating', async () => {
    const log = await readText('user,item,rating\na,x,5\na,y,2\na,z,\nb,x,4\n');
    const dataset = prepare(log, { minInteractions: 1, minRating: 4 });
    expect([dataset.itemIds, dataset.report.removedByRating]).toEqual([['x'], 2]);
    expect(prepare(log, { minInteractions: 1 }).report.lines.join()).toContain('`minRating: R`');
    expect(() => prepare(log, { minInteractions: 1, minRating: 6 })).toThrow('the highest is 5');
    expect(() => prepare(logOf([[1]]), { minInteractions: 1, minRating: 4 })).toThrow('`columns.rating: NAME`');
  });

  it('states what to change when nothing is left, as with one user or one item in a short log', () => {
    const oneUser = logOf([[1, 2, 3, 4, 5, 6]]);
    expect(() => prepare(oneUser, { minInteractions: 5 })).toThrow(
      'made: nothing is left of 6 rows, since every user and every item must have 5 interactions; try `minInteractions: 1`',
    );
    expect(prepare(oneUser, { minInteractions: 1 }).report.users).toBe(1);
    expect(() => prepare(logOf([[1], [1], [1]]), { minInteractions: 2 })).toThrow('give a larger log');
    expect(() => prepare(oneUser, { minInteractions: 0 })).toThrow('`minInteractions`');
  });

  it('following the hint works', () => {
    const histories = fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(histories, fc.integer({ min: 2, max: 8 }), (some, minInteractions) => {
        const log = logOf(some);
        let said = '';
        try {
          prepare(log, { minInteractions });
        } catch (error) {
          said = (error as Error).message;
        }
        const advice = /try `minInteractions: (\d+)`/.exec(said);
        const works = (k: number): boolean => {
          const split = splitDataset(prepare(log, { minInteractions: k }));
          const validated = Array.from({ length: split.users }, (_, u) => split.validTarget(u));
          return split.items > 1 && split.trainPositions() > 0 && validated.some((target) => target >= 0);
        };
        if (advice) expect(works(Number(advice[1]))).toBe(true);
        else if (said !== '') expect(works(1)).toBe(false);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('keeps IDs such as __proto__ apart', () => {
    const dataset = datasetOf([['__proto__', 'constructor', '__proto__']]);
    expect(names(dataset, 0)).toEqual(['__proto__', 'constructor', '__proto__']);
  });
});

describe('split', () => {
  const split = splitDataset(datasetOf([[1, 2, 3, 4], [5, 6, 7], [1, 2], [3]]));
  const ids = (rows: Uint32Array) => Array.from(rows, (row) => Number(split.dataset.itemIds[row]));

  it('leaves the last one out for test, the one before for validation', () => {
    expect([0, 1, 2, 3].map((u) => split.trainLength(u))).toEqual([2, 1, 2, 1]);
    expect([ids(split.history(0, 'train')), ids(split.history(0, 'valid')), ids(split.history(0, 'test'))]).toEqual([
      [1, 2],
      [1, 2],
      [1, 2, 3],
    ]);
    expect(ids(Uint32Array.of(split.validTarget(0), split.testTarget(0)))).toEqual([3, 4]);
    expect(split.trainPositions()).toBe(2);
  });

  it('trains only on users with fewer than three events', () => {
    expect([2, 3].flatMap((u) => [split.validTarget(u), split.testTarget(u)])).toEqual([-1, -1, -1, -1]);
    expect(ids(split.history(2, 'test'))).toEqual([1, 2]);
  });

  it('refuses what cannot be trained on', () => {
    const of = (histories: number[][]) => splitDataset(datasetOf(histories));
    expect(() => requireTrainable(of([[1, 1, 1, 1, 1, 1]]), 'f')).toThrow('only one item');
    expect(() => requireTrainable(of([[1], [2], [1, 2, 3]]), 'f')).toThrow('no user has two interactions');
    expect(() => requireTrainable(split, 'f')).not.toThrow();
  });
});
