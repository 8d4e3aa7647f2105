/** Groups, calibration and exposure floors, as users type them. */
import { beforeAll, describe, expect, test } from 'vitest';
import { oneLine, openWorkplace, SHARED, SMALL } from './attune.ts';

const IDS = Array.from({ length: 18 }, (_, i) => `i${i}`);
const KINDS = ['paper|card', 'leather', 'wool'];
/** Half of the users walk the catalog in order; the others jump about, so that little can be learned of them. */
const LOG = `user,item,timestamp\n${Array.from({ length: 60 }, (_, u) =>
  Array.from(
    { length: 9 },
    (__, t) => `u${u},i${(u % 2 ? u + t : u * u * 7 + t * t * 5 + t * u) % 18},${1000 * t + u}`,
  ).join('\n'),
).join('\n')}\n`;
const ITEMS = `item_id,title,kind,price,maker\n${IDS.map((id, i) => `${id},Thing ${i},${KINDS[i % 3]},${10 * i},${i % 6 === 0 ? 'small' : 'large'}`).join('\n')}\n`;
const USERS = `user_id,habit,age,zip\n${Array.from({ length: 58 }, (_, u) => `u${u},${u % 2 ? 'steady' : 'jumpy'},${20 + u},z${u}`).join('\n')}\n`;

const place = openWorkplace(SHARED);
const EVALUATE = 'evaluate --model m --data log.csv'.split(' ');

beforeAll(async () => {
  place.write('log.csv', LOG);
  place.write('items.csv', ITEMS);
  place.write('users.csv', USERS);
  const args = ['--epochs', '3', '--set', 'learningRate=0.01', '--min-interactions', '1'];
  await place.ok(['train', '--data', 'log.csv', '--items', 'items.csv', '--out', 'm', ...SMALL, ...args]);
});

describe('evaluate --groups', () => {
  test('metrics of each value, for the model and the baselines, and what they differ by', async () => {
    const args = ['--users', 'users.csv', '--groups', 'habit,AGE,history,popularity,kind'];
    const { result, stderr } = await place.answer([...EVALUATE, ...args]);
    expect(stderr).not.toMatch(/attune:|groups/);
    const { groups, fairness } = result;
    expect(Object.keys(groups)).toEqual(['habit', 'age', 'history', 'popularity']);
    expect(Object.keys(groups.habit)).toEqual(['jumpy', 'steady', '(missing)']);
    expect(groups.habit['(missing)']).toMatchObject({ users: 2, few: true });
    const mean = (name: string) =>
      Object.values<{ users: number; metrics: Record<string, number> }>(groups.habit).reduce(
        (sum, { users, metrics }) => sum + users * metrics[name],
        0,
      ) / result.users;
    for (const name of ['NDCG@10', 'HR@10', 'MRR']) expect(mean(name)).toBeCloseTo(result.metrics[name], 10);
    expect(Object.keys(groups.habit.steady.baselines)).toEqual(Object.keys(result.baselines));
    expect(groups.habit.steady.metrics).toMatchObject({
      'PopularityLift@10': expect.any(Number),
      'Miscalibration@10 kind': expect.any(Number),
    });
    expect(groups.history['1-10']).toMatchObject({ users: 60, metrics: { 'HR@10': result.metrics['HR@10'] } });
    expect(fairness.columns.habit.gaps.model['NDCG@10']).toMatchObject({ p: expect.any(Number) });
    expect(fairness.columns.age.note).toBe('age has 58 numbers: cut into 5 ranges of about as many users each');
    expect(Object.keys(fairness.exposure)).toEqual(['popularity', 'kind']);
    expect(Object.keys(fairness.exposure.kind.values).sort()).toEqual(['card', 'leather', 'paper', 'wool']);
    expect(Object.keys(fairness.lists)).toEqual(['model', ...Object.keys(result.baselines)]);
  });

  test('prints a table for each column, and how the ages were cut', async () => {
    const args = ['--users', 'users.csv', '--groups', 'habit,age,maker'];
    const { stdout } = await place.ok([...EVALUATE, ...args]);
    expect(stdout).toMatch(/habit +users +NDCG@10 +from +to +HR@10 +popularity +Markov/);
    expect(stdout).toMatch(/\n\(missing\) \(few\) +2 /);
    expect(stdout).toMatch(/\ngap +\d?\.\d{4} .*\np +\d\.\d{4} /);
    expect(stdout).toContain('habit: groups of fewer than 10 users are left out of gap and p.');
    expect(stdout).toMatch(/habit: unfairness +model +by chance +p +popularity/);
    expect(stdout).toMatch(/ValueUnfairness +0\.\d{5}/);
    expect(stdout).toContain('age has 58 numbers: cut into 5 ranges of about as many users each');
    expect(stdout).toMatch(/maker: exposure +catalog +events +model/);
    expect(stdout).toMatch(/lists +PopularityLift@10 +Miscalibration@10 maker/);
  });

  test.each<[string[], RegExp]>([
    [
      ['--groups', 'zodiac', '--users', 'users.csv'],
      /^1 --groups zodiac: no user and no item has such a column; there is habit, age, zip, kind, price, maker, history, popularity$/,
    ],
    [
      ['--groups', 'habit'],
      /^1 --groups habit: no user and no item .* popularity; columns of users come from --users PATH$/,
    ],
    [
      ['--groups', 'zip', '--users', 'users.csv'],
      /^1 zip has 59 values, too many groups of users to compare \(50 at most\)$/,
    ],
    [['--groups', 'habit,'], /^2 --groups: expected names with commas between them, as in gender,age,history/],
    [['--groups', 'habit', '--next', '3'], /^2 --groups compares lists of one moment/],
  ])('%j is refused in a line', async (args, message) => {
    expect(await place.fails([...EVALUATE, ...args])).toMatch(message);
  });
});

describe('--calibrate and --expose', () => {
  test('evaluate prints what they cost and gain, before and after', async () => {
    const args = ['--include-seen', '--no-baselines', '--calibrate', 'kind:0.9', '--expose', 'maker:small>=0.4'];
    const { metrics, after } = await place.json([...EVALUATE, ...args]);
    expect(Object.keys(after)).toEqual(['calibrate', 'expose', 'together']);
    const [mix, share] = ['Miscalibration@10 kind', 'Exposure@10 maker:small'];
    expect(after.calibrate.metrics[mix]).toBeLessThan(metrics[mix]);
    expect(metrics[share]).toBeLessThan(0.35);
    expect(after.expose.metrics[share]).toBeGreaterThanOrEqual(0.4 - 1e-6);
    expect(after.expose.options).toEqual({ expose: [{ attribute: 'maker', value: 'small', share: 0.4 }] });
    expect(after.together.metrics[share]).toBeGreaterThanOrEqual(0.4 - 1e-6);
    const { stdout } = await place.ok([...EVALUATE, ...args]);
    expect(stdout).toMatch(/Miscalibration@10 kind +Exposure@10 maker:small/);
    expect(stdout).toMatch(/calibrate kind:0\.9 +18 .*\nexpose maker:small>=0\.4 +18 .*\ntogether +18 /);
  });

  test('recommend re-ranks by the history', async () => {
    const kinds = async (...args: string[]) => {
      const { items } = await place.json(['recommend', '--model', 'm', '--history', 'i1,i4,i7', '--k', '4', ...args]);
      return items.map(({ attributes }: { attributes: { kind: string } }) => attributes.kind);
    };
    expect(await kinds('--calibrate', 'kind:1')).toEqual(['leather', 'leather', 'leather', expect.any(String)]);
    const { items } = await place.json([
      'recommend',
      '--model',
      'm',
      '--history',
      'i1',
      '--k',
      '3',
      '--expose',
      'Maker:Small>=1',
    ]);
    expect(items.slice(0, 3).map(({ attributes }: { attributes: { maker: string } }) => attributes.maker)).toEqual([
      'small',
      'small',
      'small',
    ]);
  });

  test.each<[string[], RegExp]>([
    [
      ['--calibrate', 'colour:0.3'],
      /^calibrate colour:0\.3: no item has an attribute colour; there is kind, price, maker$/,
    ],
    [['--expose', 'maker:tiny>=0.2'], /^expose maker:tiny>=0\.2: no item's maker is tiny; there is small, large$/],
  ])('%j is refused in a line', async (args, message) => {
    for (const command of [
      ['recommend', '--history', 'i0'],
      ['evaluate', '--data', 'log.csv'],
    ]) {
      const { code, stderr } = await place.run([...command, '--model', 'm', ...args]);
      expect(code).toBe(1);
      expect(oneLine(stderr)).toMatch(message);
    }
  });

  test.each([
    [['--calibrate', 'kind'], /^2 .*expected attribute:weight with a weight from 0 to 1/],
    [['--calibrate', 'kind:3'], /^2 .*expected attribute:weight with a weight from 0 to 1/],
    [['--expose', 'maker:small'], /^2 .*expected attribute:value>=share/],
    [['--expose', 'maker:small>=2'], /^2 .*expected attribute:value>=share/],
  ])('%j is wrong usage', async (args, message) => {
    expect(await place.fails(['recommend', '--model', 'm', '--history', 'i0', ...args])).toMatch(message);
  });
});
