/** When a list is asked for, from the command line. */
import { beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace, SHARED, SMALL } from './attune.ts';

/** 40 users on a ring of 24 items: one item on after ten seconds, five on after a day. */
const LOG = Array.from({ length: 40 }, (_, u) => {
  let [item, time] = [u * 5, 1_700_000_000 + u];
  return Array.from({ length: 12 }, (_, t) => {
    const long = (u * 7 + t * t) % 3 === 0;
    time += long ? 86_400 : 10;
    item += long ? 5 : 1;
    return `u${u},i${item % 24},${time}`;
  });
}).flat();

const place = openWorkplace(SHARED);
const small = [...SMALL, '--epochs', '2', '--set', 'learningRate=0.01'];

beforeAll(async () => {
  place.write('log.csv', `user,item,timestamp\n${LOG.join('\n')}\n`);
  place.write('plain.csv', `user,item\n${LOG.map((row) => row.slice(0, row.lastIndexOf(','))).join('\n')}\n`);
  const { stdout } = await place.ok([
    'train',
    '--data',
    'log.csv',
    '--out',
    'asked',
    ...small,
    '--set',
    'requestTime=on',
  ]);
  place.write('output.txt', stdout);
  await place.ok(['train', '--data', 'log.csv', '--out', 'other', ...small]);
});

const [, , LAST] = LOG[11].split(',').map(Number);
const user = ['recommend', '--data', 'log.csv', '--user', 'u0', '--include-seen'];

describe('--at', () => {
  test('says when; by default it is now', async () => {
    const at = async (time: string) => place.answer([...user, '--model', 'asked', '--at', time]);
    const [soon, later] = [await at(`${LAST + 10}`), await at(`${LAST + 86_400}`)];
    expect(soon.result.at).toBe(new Date(1000 * (LAST + 10)).toISOString());
    expect(soon.result.items).not.toEqual(later.result.items);
    expect((await at(new Date(1000 * (LAST + 10)).toISOString())).result).toEqual(soon.result);
    const { result: answer, stderr } = await place.answer([...user, '--model', 'asked']);
    expect(Math.abs(Date.now() - Date.parse(answer.at))).toBeLessThan(600_000);
    expect(stderr).toContain('the model reads when it is asked: as of 20');
  });

  test('leaves out later events, and is taken by a model that does not read it', async () => {
    const { result: answer, stderr } = await place.answer([...user, '--model', 'other', '--at', `${LAST - 1}`]);
    expect(stderr).toContain('the model does not read when it is asked: --at only leaves out later events');
    expect(stderr).toMatch(/\d+ of 12 events are later, and left out/);
    const given = ['recommend', '--model', 'other', '--history', 'i1,i2'];
    const plain = await place.answer(given);
    expect(plain.result.at).toBeNull();
    const dated = await place.answer([...given, '--at', '2026-11-30']);
    expect(dated.stderr).toContain('--at changes nothing');
    expect(dated.result.items).toEqual(plain.result.items);
    const before = await place.answer([...user, '--model', 'asked', '--at', '2001-01-01']);
    expect(before.stderr).toContain('no event is known');
    expect(answer.items).toHaveLength(10);
  });

  test.each([
    ['soon', /2 .*--at.*'soon'.*expected a date/],
    ['7', /1 .*--at 7: expected a time like those of the log \(17\d+\)/],
  ])('%s is refused in one line', async (time, message) => {
    expect(await place.fails([...user, '--model', 'asked', '--at', time])).toMatch(message);
  });
});

describe('--request-time', () => {
  const evaluate = ['evaluate', '--data', 'log.csv', '--no-baselines', '--include-seen'];

  test('is beside every metric, with the rule for equal times', async () => {
    expect(place.read('output.txt')).toMatch(/Validation: .*; request time known, equal times in file order/);
    const columns = await Promise.all(
      ['unknown', 'known'].map((time) => place.ok([...evaluate, '--model', 'asked', '--request-time', time])),
    );
    for (const [i, time] of ['unknown', 'known'].entries())
      expect(columns[i].stdout).toContain(`request time ${time}, equal times in file order`);
    const unsaid = await place.answer([...evaluate, '--model', 'asked']);
    expect(unsaid.result.requestTime).toBe('unknown');
    const known = await place.answer([...evaluate, '--model', 'asked', '--request-time', 'known']);
    expect(known.result.requestTime).toBe('known');
    expect(known.result.metrics).not.toEqual(unsaid.result.metrics);
    expect(place.read('asked/README.md')).toContain('request time known, equal times in file order');
  });

  test('changes nothing for a model that does not read it, and says so', async () => {
    const [unknown, known] = [
      await place.answer([...evaluate, '--model', 'other']),
      await place.answer([...evaluate, '--model', 'other', '--request-time', 'known']),
    ];
    expect(known.result.metrics).toEqual(unknown.result.metrics);
    expect(known.stderr).toContain('other does not read when it is asked');
    const compare = ['compare', 'other', 'asked', '--data', 'log.csv', '--request-time', 'known', '--include-seen'];
    expect((await place.ok(compare)).stdout).toContain('request time known');
  });

  test('is refused without times, and for several events', async () => {
    const untimed = ['evaluate', '--model', 'other', '--request-time', 'known', '--data'];
    expect(await place.fails([...untimed, 'plain.csv'])).toMatch(/1 .*plain\.csv has no times/);
    expect(await place.fails([...untimed, 'log.csv', '--next', '2'])).toMatch(/2 .*several events/);
  });
});
