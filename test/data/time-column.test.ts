/** Times of a log: the column decides what they are counted in. */
import { describe, expect, it } from 'vitest';
import { prepare } from '../../data/dataset.ts';
import { InputError } from '../../data/errors.ts';
import { describeSchema, inferSchema, replacementOf, numberOf } from '../../data/features/schema.ts';
import { inferEvents } from '../../data/features/event-encoder.ts';
import { parseDate, toSeconds } from '../../data/formats/times.ts';
import { readText } from './bytes.ts';

const read = (...times: (string | number)[]) =>
  readText(`user,item,timestamp\n${times.map((time, i) => `u,i${i},${time}\n`).join('')}`);
const NOW = 1_700_000_000;

describe('times of a log', () => {
  it.each([
    [
      'seconds and milliseconds',
      [NOW, NOW * 1000],
      'in seconds (log.csv:2: 1700000000) and in milliseconds (log.csv:3: ',
    ],
    ['milliseconds and microseconds', [NOW * 1e3, NOW * 1e6], 'in milliseconds'],
    ['microseconds and nanoseconds', [`${NOW}000000`, `${NOW}000000000`], 'and in nanoseconds'],
    ['numbers and dates', [NOW, '2020-01-01'], 'dates (log.csv:3: 2020-01-01) and numbers (log.csv:2: 1700000000)'],
    ['dates and numbers', ['2020-01-01', '', NOW], 'write them all one way'],
  ])('refuses %s in one line', async (_, times, message) => {
    const failure = read(...times);
    await expect(failure).rejects.toThrow(InputError);
    await expect(failure).rejects.toThrow(message);
  });

  it.each([
    ['seconds', NOW, 's', 253_402_300_799],
    ['milliseconds', NOW * 1e3, 'ms', 253_402_300_799_000],
    ['microseconds', NOW * 1e6, 'us', 253_402_214_400_000_000],
    ['dates', '2023-11-14T22:13:20', 'ms', '9999-12-31 23:59:59'],
    ['dates', '2023-11-14T22:13:20', 'ms', '0001-01-01'],
    ['dates', '2023-11-14T22:13:20', 'ms', '0000-00-00 00:00:00'],
    ['seconds', NOW, 's', 2_147_483_647],
    ['nanoseconds', `${NOW}000000000`, 'ns', '9223372036854775807'],
  ])('takes a sentinel among %s as unknown and reports it', async (_, time, unit, sentinel) => {
    for (const times of [
      [sentinel, time],
      [time, sentinel],
    ]) {
      const log = await read(...times);
      expect(log.timeUnit).toBe(unit);
      expect([...(log.time as Float64Array)].filter(Number.isNaN)).toHaveLength(1);
      expect(log.notes.join()).toContain('which is treated as unknown');
      expect(log.notes.join()).toContain('1 row has no time');
      expect([...toSeconds(log.time as Float64Array)]).toEqual([0, 0]);
    }
  });

  it('is not misled by times of one unit that would be sentinels in another', async () => {
    const log = await read(253_402_300_799, 253_402_300_799 + 86_400_000, 1_600_000_000_000); // January 1978, in ms
    expect([log.timeUnit, ...(log.time as Float64Array)].includes(Number.NaN)).toBe(false);
    expect(log.timeUnit).toBe('ms');
    await expect(read(NOW, 253_402_300_799, 253_500_000_000)).rejects.toThrow('and in milliseconds');
  });

  it('reads January 1970, and orders that are no times', async () => {
    const dates = await read('1970-01-01', '1970-01-02 00:00:01');
    expect([dates.timeUnit, ...(dates.time as Float64Array)]).toEqual(['ms', 0, 86_401_000]);
    expect([...toSeconds(dates.time as Float64Array, [0, 2], dates.timeUnit)]).toEqual([0, 86_401]);
    const dataset = prepare(dates, { minInteractions: 1 });
    expect([...(dataset.times as Uint32Array)]).toEqual([0, 86_401]);
    expect(inferEvents(dataset, ['hour'], 'log')).toEqual([{ name: 'hour', kind: 'hour', absent: 0 }]);
    expect((await read(0, NOW)).notes.join()).not.toContain('no time');
    expect((await read(1, 2, 3)).timeUnit).toBe('order');
  });

  it.each(['2023-02-30', '2023-02-29', '2023-04-31', '2023-13-01', '2023-01-00', '2023-01-01T25:00'])(
    'takes %s for a bad value',
    async (date) => {
      expect(parseDate(date)).toBeNaN();
      await expect(read(date)).rejects.toThrow('log.csv:2: expected a number or a date as time');
    },
  );

  it('knows leap years', () => {
    expect(parseDate('2024-02-29')).toBe(Date.UTC(2024, 1, 29));
    expect(parseDate('2000-02-29')).toBe(Date.UTC(2000, 1, 29));
    expect(parseDate('1900-02-29')).toBeNaN();
  });

  it('treats what programs write for a missing time as unknown', async () => {
    const log = await read(NOW, 'null', 'NaT', '', 'None', -1, 'NA');
    expect([...(log.time as Float64Array)].filter(Number.isNaN)).toHaveLength(6);
    expect(log.notes.join()).toContain('6 rows have no time');
  });
});

describe('times of a schema', () => {
  const items = (...times: (string | number)[]) =>
    times.map((time, i) => ({ id: `${i}`, title: `${i}`, attributes: { at: `${time}` } }));
  const schemaOf = (...times: (string | number)[]) =>
    inferSchema(items(...times), [{ name: 'at', type: 'time', missing: 'median' }]);

  it.each([
    ['seconds', 1],
    ['milliseconds', 1e3],
    ['microseconds', 1e6],
    ['nanoseconds', 1e9],
  ])('may be %s since 1970', (_, perSecond) => {
    const schema = schemaOf(NOW * perSecond, (NOW + 86_400) * perSecond);
    const [column] = schema.columns;
    expect(column.knots).toEqual([NOW * 1000, (NOW + 86_400) * 1000]);
    expect(describeSchema(schema)).toEqual(['at: time, 2023-11-14 to 2023-11-15']);
    expect(numberOf(replacementOf(column) as string, column)).toBeCloseTo(column.median as number, -3);
    expect(numberOf('2023-11-14T22:13:20', column)).toBe(NOW * 1000);
  });

  it('are of one unit', () => {
    expect(() => schemaOf(NOW, NOW * 1000)).toThrow('in seconds (at:1: 1700000000) and in milliseconds');
    expect(() => schemaOf('2023-02-30')).toThrow('at is a time, found "2023-02-30"');
  });
});
