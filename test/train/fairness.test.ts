import { describe, expect, it, test } from 'vitest';
import { seeded } from '../../data/random.ts';
import { popularity, markov } from '../../train/baselines/baselines.ts';
import { rankBaseline } from '../../train/baselines/metrics.ts';
import { type TargetMetrics, trainingFacts } from '../../train/evaluation/collector.ts';
import { MISS } from '../../train/evaluation/metrics.ts';
import { permutationTest } from '../../train/evaluation/statistics.ts';
import {
  groupsByAttribute,
  groupsByColumn,
  groupsByHistory,
  groupsByPopularity,
  MISSING,
} from '../../train/fairness/groups.ts';
import {
  exposureShare,
  groupExposure,
  groupShares,
  historyPopularity,
  listMiscalibration,
  listPopularity,
  popularityLift,
  popularityPercentages,
} from '../../train/fairness/items.ts';
import { fairnessReport } from '../../train/fairness/report.ts';
import { testUnfairness, UNFAIRNESS, unfairness } from '../../train/fairness/unfairness.ts';
import golden from '../golden/fairness.json' with { type: 'json' };
import { splitOf } from './small.ts';

const LENGTH = 10;
const lists = {
  lists: Uint32Array.from(golden.lists.flatMap((list) => Array.from({ length: LENGTH }, (_, k) => list[k] ?? MISS))),
  length: LENGTH,
};
const labelsOf = (groups: readonly string[]) => {
  const names = [...new Set(groups)].sort();
  return { labels: Uint32Array.from(groups, (group) => names.indexOf(group)), n: names.length };
};
const byGenre = () =>
  groupsByAttribute(
    'genre',
    golden.genres.map((genres) => ({ attributes: { genre: genres.join('|') } })),
    golden.counts,
  );

describe('on the fixed table, as another implementation has it', () => {
  test.each([
    ['two', golden.groups2, golden.unfairness2],
    ['three', golden.groups3, golden.unfairness3],
  ])('unfairness of %s groups', (_name, groups, expected) => {
    const { labels, n } = labelsOf(groups);
    const found = unfairness({ ...lists, targets: golden.targets }, labels, n);
    for (const name of UNFAIRNESS) expect(found[name], name).toBeCloseTo(expected[name], 10);
    const tested = testUnfairness({ ...lists, targets: golden.targets }, labels, n, 1);
    for (const name of UNFAIRNESS) expect(tested[name].value, name).toBe(found[name]);
  });

  test('miscalibration', () => {
    const found = listMiscalibration(lists, golden.histories, (row) => golden.genres[row]);
    golden.miscalibration.forEach((value, u) => {
      if (value === null) expect(found[u]).toBeNaN();
      else expect(found[u]).toBeCloseTo(value, 10);
    });
  });

  test('exposure', () => {
    const groups = byGenre();
    const exposure = groupExposure(lists, groups);
    const own = Object.fromEntries(groups.values.map((value, g) => [value, exposure[g]]));
    for (const [value, share] of Object.entries(golden.exposure))
      expect(new Map(Object.entries(own)).get(value), value).toBeCloseTo(share, 10);
    expect(exposureShare(lists, (row) => golden.genres[row].includes('noir'))).toBeCloseTo(golden.noir, 10);
  });

  test('popularity', () => {
    const { counts, histories } = golden;
    const lift = popularityLift(listPopularity(lists, counts), historyPopularity(histories, counts));
    expect(lift).toBeCloseTo(golden.popularityLift, 10);
    const { PopularityPercentage, TailPercentage } = popularityPercentages(lists, counts);
    expect(PopularityPercentage).toBeCloseTo(golden.popularityPercentage, 10);
    expect(TailPercentage).toBeCloseTo(golden.tailPercentage, 10);
  });
});

describe('unfairness', () => {
  const of = (shown: number[][], wanted: number[][]) => ({
    lists: Uint32Array.from(shown.flat()),
    length: shown[0].length,
    targets: wanted,
  });

  it('is 0 where both groups are shown and want the same', () => {
    const same = of(
      [
        [1, 2],
        [2, 1],
        [1, 2],
        [2, 1],
      ],
      [[1], [2], [1], [2]],
    );
    for (const value of Object.values(unfairness(same, Uint32Array.of(0, 0, 1, 1), 2)))
      expect(value).toBeCloseTo(0, 12);
  });

  it('by hand: each user of one group is shown what it wants, of the other what the first wants', () => {
    const split = of([[1], [1]], [[1], [2]]);
    const found = unfairness(split, Uint32Array.of(0, 1), 2);
    // Item 1: 1 − 1 = 0 and 1 − 0 = 1; item 2: 0 and 0 − 1 = −1.
    expect(found).toMatchObject({
      ValueUnfairness: 1,
      AbsoluteUnfairness: 1,
      UnderUnfairness: 1 / 2,
      OverUnfairness: 1 / 2,
      NonParityUnfairness: 1,
      DifferentialFairness: 0, // both are shown item 1, and neither is shown item 2
    });
  });

  it('is tested against random groups', () => {
    // One group wants and is shown even items, the other wants odd ones and is shown even ones.
    const users = Array.from({ length: 60 }, (_, u) => u);
    const served = of(
      users.map((u) => [2 * (u % 5), 2 * ((u + 1) % 5)]),
      users.map((u) => [2 * (u % 5) + (u < 30 ? 0 : 1)]),
    );
    const labels = Uint32Array.from(users, (u) => Number(u >= 30));
    const { ValueUnfairness } = testUnfairness(served, labels, 2, 1);
    expect(ValueUnfairness.p).toBeLessThan(0.001);
    expect(ValueUnfairness.chance).toBeGreaterThan(0);
    expect(ValueUnfairness.chance).toBeLessThan(ValueUnfairness.value / 2);
    const random = testUnfairness(
      served,
      Uint32Array.from(users, (u) => u % 2),
      2,
      1,
    );
    expect(random.ValueUnfairness.p).toBeGreaterThan(0.05);
  });
});

describe('permutation test', () => {
  const differenceOf = (values: readonly number[]) => (labels: Uint32Array) => {
    const sums = [0, 0];
    labels.forEach((g, i) => {
      sums[g] += values[i];
    });
    return [Math.abs(sums[0] - sums[1])];
  };

  test('the p-value of a tiny sample is that of all its assignments', () => {
    // Of the 6 ways to divide 1, 2, 3, 10 into pairs, 4 differ by at least 10 (|{1,2} − {3,10}| = 10, |{1,3} − {2,10}| = 8).
    const [{ value, chance, p }] = permutationTest(Uint32Array.of(0, 0, 1, 1), differenceOf([1, 2, 3, 10]), 4, 1);
    expect(value).toBe(10);
    expect(p).toBeCloseTo(2 / 6, 1.7);
    expect(chance).toBeCloseTo((10 + 8 + 6) / 3, 0.7);
    expect(permutationTest(Uint32Array.of(0, 1, 0, 1), differenceOf([1, 1, 1, 1]), 4, 1)[0].p).toBe(1);
  });

  test('is uniform where there is nothing to find', () => {
    let found = 0;
    for (let round = 0; round < 60; round++) {
      const draw = seeded(round, 1);
      const values = Array.from({ length: 30 }, () => draw.next());
      // As much work as allows 200 assignments.
      const [{ p }] = permutationTest(
        Uint32Array.from(values, (_, i) => i % 2),
        differenceOf(values),
        1e6,
        round,
      );
      if (p < 0.05) found++;
    }
    expect(found).toBeLessThanOrEqual(9);
  });
});

describe('groups', () => {
  test('users by a column: numbers by size, then texts; what is missing last', () => {
    const { values, of, note } = groupsByColumn('age', ['10', '9', undefined, 'old', ' 9 ', '']);
    expect(values).toEqual(['9', '10', 'old', MISSING]);
    expect(Array.from(of)).toEqual([1, 0, 3, 2, 0, 3]);
    expect(note).toBe(null);
  });

  test('many numbers are cut into ranges of about as many users', () => {
    const { values, of, note } = groupsByColumn(
      'age',
      Array.from({ length: 100 }, (_, i) => (i === 7 ? undefined : `${i}`)),
    );
    expect(values).toEqual(['0 to 20', '21 to 40', '41 to 60', '61 to 80', '81 to 99', MISSING]);
    const sizes = values.map((_, g) => of.filter((own) => own === g).length);
    expect(sizes.slice(0, -1).every((size) => size >= 19 && size <= 20)).toBe(true);
    expect(note).toBe('age has 99 numbers: cut into 5 ranges of about as many users each');
    // A value that most users have is not divided.
    const skewed = groupsByColumn(
      'visits',
      Array.from({ length: 100 }, (_, i) => `${Math.max(0, i - 80)}`),
    );
    expect(skewed.values).toEqual(['0', '1 to 5', '6 to 10', '11 to 15', '16 to 19']);
    expect(new Set(skewed.of.subarray(0, 81)).size).toBe(1);
  });

  test('more than 50 texts are too many', () => {
    const cells = Array.from({ length: 60 }, (_, i) => `zip ${i}`);
    expect(() => groupsByColumn('zip', cells)).toThrow(
      'zip has 60 values, too many groups of users to compare (50 at most)',
    );
  });

  test('items by an attribute with several values, and the rarest ones together', () => {
    const { values, of } = byGenre();
    expect([...values].sort()).toEqual([MISSING, 'comedy', 'drama', 'noir', 'war']);
    expect(of[0].map((g) => values[g])).toEqual(golden.genres[0]);
    expect(of[5].map((g) => values[g])).toEqual([MISSING]);
    const many = Array.from({ length: 30 }, (_, i) => ({ attributes: { brand: `brand ${i}x` } }));
    const brands = groupsByAttribute(
      'brand',
      many,
      Array.from({ length: 30 }, (_, i) => i),
    );
    expect(brands.values).toHaveLength(20);
    expect(brands.values.slice(0, 2)).toEqual(['brand 29x', 'brand 28x']);
    expect(brands.of[0].map((g) => brands.values[g])).toEqual(['(other)']);
    expect(brands.note).toBe('brand has 30 values: the 19 with the most events, and (other)');
    expect(brands.valuesOf?.(0)).toEqual(['brand 0x']);
    const { catalog, interactions } = groupShares(
      brands,
      Array.from({ length: 30 }, (_, i) => i),
    );
    expect(catalog[19]).toBeCloseTo(11 / 30, 12);
    expect(interactions[0]).toBeCloseTo(29 / 435, 12);
  });
});

describe('report', () => {
  // Those from user 20 on walk the ring at random, so that a chain serves them worse.
  const random = seeded(3, 0);
  const histories = Array.from({ length: 40 }, (_, u) =>
    Array.from({ length: 14 }, (_, i) => (u < 20 ? (u * 5 + i) % 12 : random.below(12))),
  );
  const split = splitOf(histories, 12);
  const facts = trainingFacts(split);
  const rank = (baseline: Parameters<typeof rankBaseline>[2]) => ({
    name: baseline.name,
    ...(rankBaseline(split, 'test', baseline, { seen: 'kept', facts, keepLists: true }) as TargetMetrics),
  });
  const model = rank(markov(split));
  const popular = rank(popularity(split));
  const cells = histories.map((_, u) => (u < 3 ? undefined : u < 20 ? 'steady' : 'fickle'));
  const items = Array.from({ length: 12 }, (_, i) => ({ attributes: { kind: i % 2 ? 'odd' : 'even' } }));
  const report = fairnessReport({
    split,
    part: 'test',
    facts,
    model,
    baselines: [popular],
    users: [groupsByColumn('habit', cells), groupsByHistory(split, 'test')],
    items: [groupsByPopularity(facts), groupsByAttribute('kind', items, facts.counts)],
  });

  test('the metrics of groups are means over their users', () => {
    const { habit } = report.groups;
    expect(Object.keys(habit)).toEqual(['fickle', 'steady', MISSING]);
    expect(habit.steady).toMatchObject({ users: 17 });
    expect(habit[MISSING]).toMatchObject({ users: 3, few: true });
    for (const name of ['NDCG@10', 'HR@10', 'MRR'] as const) {
      const mean = (values: Float64Array) => values.subarray(20).reduce((sum, x) => sum + x, 0) / 20;
      expect(habit.fickle.metrics[name]).toBeCloseTo(mean(model.perUser[name]), 12);
      expect(habit.fickle.baselines.popularity[name]).toBeCloseTo(mean(popular.perUser[name]), 12);
      const [low, high] = habit.fickle.intervals?.[name] ?? [];
      expect(low).toBeLessThanOrEqual(habit.fickle.metrics[name]);
      expect(high).toBeGreaterThanOrEqual(habit.fickle.metrics[name]);
    }
    expect(habit.steady.against).toMatchObject({ baseline: 'popularity', p: expect.any(Number) });
    const users = Object.values(report.groups.history).reduce((sum, { users }) => sum + users, 0);
    expect(users).toBe(40);
  });

  test('a gap that is there is found, few users are left out of it, and the advantage differs', () => {
    const { gaps, advantage, unfairness } = report.columns.habit;
    expect(gaps.model['NDCG@10']).toMatchObject({ highest: 'steady', lowest: 'fickle' });
    expect(gaps.model['NDCG@10'].difference).toBeGreaterThan(0.2);
    expect(gaps.model['NDCG@10'].p).toBeLessThan(0.001);
    expect(gaps.popularity['NDCG@10'].difference).toBeLessThan(gaps.model['NDCG@10'].difference);
    expect(advantage?.p).toBeLessThan(0.01);
    expect(unfairness?.NonParityUnfairness.p).toBeLessThan(0.01);
    expect(Object.keys(unfairness?.ValueUnfairness.baselines ?? {})).toEqual(['popularity']);
    // All histories are as long.
    expect(report.columns.history).toEqual({ note: null, gaps: {} });
  });

  test('targets by popularity are the slices of the evaluation; exposure adds up', () => {
    for (const [group, slice] of Object.entries(model.slices.itemPopularity)) {
      const { users, ...metrics } = slice;
      expect(report.groups.popularity[group]).toMatchObject({ users, metrics });
    }
    const { kind } = report.exposure;
    expect(Object.keys(kind.values).sort()).toEqual(['even', 'odd']);
    for (const of of ['catalog', 'interactions', 'exposure'] as const)
      expect(kind.values.even[of] + kind.values.odd[of]).toBeCloseTo(1, 12);
    expect(Object.keys(report.lists)).toEqual(['model', 'popularity']);
    expect(Object.keys(report.lists.model)).toEqual([
      'PopularityLift@10',
      'Miscalibration@10 kind',
      'PopularityPercentage@10',
      'TailPercentage@10',
    ]);
    // Nearly everything is listed, so that lists are about as popular as histories.
    expect(Math.abs(report.lists.model['PopularityLift@10'])).toBeLessThan(0.2);
  });

  test('it needs the lists of the same users', () => {
    const options = { split, part: 'test', facts, baselines: [], users: [], items: [] } as const;
    const other = rankBaseline(split, 'test', popularity(split), { seen: 'kept' }) as TargetMetrics;
    expect(() => fairnessReport({ ...options, model: other })).toThrow('model was ranked without keepLists');
    const half = rankBaseline(split, 'test', popularity(split), {
      seen: 'kept',
      users: Uint32Array.of(1, 2),
      keepLists: true,
    }) as TargetMetrics;
    expect(() => fairnessReport({ ...options, model, baselines: [{ name: 'half', ...half }] })).toThrow(
      'half was ranked on other users',
    );
  });
});
