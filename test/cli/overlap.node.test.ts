/** A model is never evaluated on what it was trained on: `evaluate`, `compare`, and `evaluate --next` check its record. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { commit } from '../../model/storage/manifest.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { SMALL, openWorkplace, SHARED } from './attune.ts';

const place = openWorkplace(SHARED);

/** Pure noise: nothing to learn except the events themselves. `from` and `to` are events of each user. */
function noise(from: number, to: number, name = 'u'): string {
  const rows = ['user,item,rating,timestamp'];
  for (let u = 0; u < 30; u++)
    for (let i = from; i < to; i++)
      rows.push(`${name}${u},i${(u * u * 7 + i * i * 5 + u * i) % 23},${1 + ((u * i) % 5)},${1e9 + 60 * i + u}`);
  return `${rows.join('\n')}\n`;
}

const train = (out: string, data: string, ...args: string[]) =>
  place.ok(['train', '--data', data, '--out', out, ...args]);
const QUICK = [...SMALL, '--epochs', '1', '--min-interactions', '1'];

beforeAll(async () => {
  place.write('today.csv', noise(0, 30));
  place.write('last-week.csv', noise(0, 22));
  place.write('newer.csv', noise(0, 37));
  place.write('others.csv', noise(0, 30, 'others'));
  await train('model', 'today.csv', ...QUICK);
  await train('second', 'today.csv', ...QUICK, '--seed', '2');
  await train('next', 'today.csv', ...QUICK, '--protocol', 'last-n:n=3');
});

describe('ranking', () => {
  it("refuses last week's log, in one line that says what overlaps", async () => {
    const line =
      /^1 last-week\.csv: 30 of its 30 test targets \(of 30 users, such as "u0"\) are in what model was trained or validated on; .+$/;
    expect(await place.fails('evaluate --model model --data last-week.csv')).toMatch(line);
    expect(await place.fails('compare model second --data last-week.csv')).toMatch(line);
    expect(await place.fails('compare popularity model --data last-week.csv')).toMatch(line);
    const next = await place.fails('evaluate --model next --data last-week.csv --next 3');
    expect(next).toContain('are in what next was trained or validated on');
  });

  it('accepts its own log, a newer one, and that of other users', async () => {
    for (const data of ['today.csv', 'newer.csv', 'others.csv']) {
      const { result, stderr } = await place.answer(['evaluate', '--model', 'model', '--data', data, '--no-baselines']);
      expect(stderr).not.toContain('cannot be checked');
      expect(result, data).toMatchObject({ users: 30 });
      await place.answer(['compare', 'model', 'second', '--data', data]);
    }
    await place.answer('evaluate --model next --data newer.csv --next 3');
  });

  it('leaves out users whose targets were trained on, with a note', async () => {
    const rows = noise(0, 30).trimEnd().split('\n');
    // u0 and u1 had too few events to hold any out, and have more now.
    const number = (row: string) => (Number(row.split(',')[3]) - 1e9) / 60;
    place.write('short.csv', rows.filter((row) => !/^u[01],/.test(row) || number(row) < 7).join('\n'));
    place.write('longer.csv', rows.filter((row) => !/^u[01],/.test(row) || number(row) < 9).join('\n'));
    await train('young', 'short.csv', ...QUICK, '--protocol', 'last-n:n=3');
    const { result, stderr } = await place.answer('evaluate --model young --data longer.csv --no-baselines');
    expect(result).toMatchObject({ users: 28 });
    expect(stderr).toContain(
      'attune: 2 users are left out: young was trained on events that are their test targets now',
    );
  });

  it('warns that it cannot check without the record: packed models, and those of an earlier version', async () => {
    expect(existsSync(place.part('model/training.bin'))).toBe(true);
    await place.run('pack --model model --out model.attune');
    expect(readFileSync(place.path('model.attune')).includes('training.bin')).toBe(false);
    await place.run('unpack --model model.attune --out older');
    expect(readdirSync(place.path('older')).filter((name) => name.startsWith('training'))).toEqual([]);
    for (const model of ['model.attune', 'older']) {
      const { result, stderr } = await place.answer(`evaluate --model ${model} --data last-week.csv --no-baselines`);
      expect(result.users).toBe(30);
      expect(stderr).toContain(`attune: ${model}: holds no training.bin`);
      expect(stderr).toContain('cannot be checked');
    }
  });
});

it('ratings: the log must be the one whose ratings the folds held out', async () => {
  const settings = ['d=8', 'ff=8', 'blocks=1', 'cross=1', 'heads=1', 'window=8', 'budget=64'].flatMap((s) => [
    '--set',
    s,
  ]);
  await train('stars', 'today.csv', '--task', 'rating', '--folds', '2', '--epochs', '1', ...settings);
  const { stderr } = await place.answer('evaluate --model stars --data today.csv');
  expect(stderr).not.toContain('cannot be checked');
  // The same ratings row by row with the users exchanged: the predictions belong to others.
  place.write(
    'swapped.csv',
    noise(0, 30).replaceAll(/^u1,|^u2,/gm, (user) => (user === 'u1,' ? 'u2,' : 'u1,')),
  );
  expect(await place.fails('evaluate --model stars --data swapped.csv')).toMatch(
    /^1 swapped\.csv: \d+ of its ratings are not those that the rounds of stars held out/,
  );
  await commit(await NodeFiles.open(place.path('stars')), { 'training.bin': null });
  const older = await place.answer('evaluate --model stars --data today.csv');
  expect(older.stderr).toContain('attune: stars: holds no training.bin');
});
