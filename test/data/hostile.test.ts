/** Logs that nobody would write by hand: no row is lost without a word, and the chunks of a stream do not matter. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import type { Log } from '../../data/log.ts';
import { readText } from './bytes.ts';

const HOSTILE = [
  '__proto__',
  'constructor',
  'NA',
  'null',
  '0',
  '-0',
  '1e3',
  ' a',
  'a ',
  '\u00a0',
  'é',
  '𝄞',
  '\ufeff',
  'a"b',
];
const id = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: fc.constantFrom(...'ab1é"\';|\\/# '), minLength: 1, maxLength: 6 }),
);
const time = fc.oneof(
  fc.integer({ min: 1_500_000_000, max: 1_700_000_000 }).map(String),
  fc.constantFrom('', '-1', 'null', '253402300799', 'soon', '2147483647', ' 1600000000 '),
);
const rating = fc.constantFrom('', '1', '4.5', '-3', ' 2 ', '1e1', 'good', '3,5');
const cell = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const row = fc.tuple(id, id, time, rating).map((fields) => fields.map(cell).join(','));
/** Lines that are one row each, well formed or not: an open quote is closed on its own line or spoils that line alone. */
const line = fc.oneof(
  { weight: 8, arbitrary: row },
  fc.constantFrom('a', 'a,b', 'a,b,c,d,e', ',x,1600000000,1', '"a,b,1600000000,1', 'a,"b" c,1600000000,1', '"",x,,'),
);
const ending = fc.constantFrom('\n', '\r\n');
const chunk = fc.integer({ min: 1, max: 40 });
const bytes = (text: string, encoding: 'utf-8' | 'latin1'): Uint8Array =>
  encoding === 'utf-8'
    ? new TextEncoder().encode(text)
    : Uint8Array.from([...text].map((char) => Math.min(255, char.codePointAt(0) as number)));

const ALL = { maxBadRows: 1e6 };
const plain = (log: Log) => ({ ...log, user: [...log.user], item: [...log.item], time: log.time && [...log.time] });
const outcome = (text: Uint8Array, size: number, options = ALL) =>
  readText(text, options, size).then(plain, (error: Error) => {
    if (error instanceof InputError) return error.message;
    throw error;
  });

it('rows read and rows reported are the rows of the file, the same whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 30 }),
      ending,
      fc.constantFrom('utf-8' as const, 'latin1' as const),
      fc.boolean(),
      chunk,
      async (lines, newline, encoding, last, size) => {
        const body = lines.join(newline) + (last ? newline : '');
        const file = bytes(`user,item,timestamp,rating${newline}${body}`, encoding);
        const whole = await outcome(file, 1 << 20);
        expect(await outcome(file, size)).toEqual(whole);
        if (typeof whole === 'string') expect(whole).toContain('no rows that can be read');
        else expect(whole.size + (whole.badRows ?? 0)).toBe(lines.length);
      },
    ),
    { numRuns: 400, seed: 5 },
  );
});

it('well-formed files are read as written', async () => {
  const clean = fc.tuple(
    id,
    id,
    fc.integer({ min: 1_500_000_000, max: 1_700_000_000 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(clean, { minLength: 1 }), chunk, async (rows, size) => {
      const text = rows.map(([u, i, t, r]) => [cell(u), cell(i), t, r].join(',')).join('\n');
      const log = await readText(bytes(`user,item,timestamp,rating\n${text}`, 'utf-8'), {}, size);
      const read = Array.from(log.user, (u, at) => [
        ...[log.userIds[u], log.itemIds[log.item[at]], log.time?.[at], log.rating?.[at]],
      ]);
      expect(read).toEqual(rows.map(([u, i, t, r]) => [u, i, t, r === 0 ? Number(String(r)) : r]));
    }),
    { numRuns: 200, seed: 6 },
  );
});

it('any bytes are read or refused in one line, the same whatever the chunks', async () => {
  const noise = fc.uint8Array({ maxLength: 60 });
  const text = fc.string({ unit: fc.constantFrom(...'ab1,,"";|\t :#{}[]<%\n\n\r\u00e9'), maxLength: 80 });
  const header = fc.constantFrom(
    '',
    'user,item\n',
    'user item\n',
    '1 2 3\n4 5 6 7\n',
    '{"user":1,"item":2}\n',
    'sep=;\n',
    '\ufeff',
  );
  const file = fc
    .tuple(
      header,
      fc.oneof(
        noise,
        text.map((body) => bytes(body, 'utf-8')),
        text.map((body) => bytes(body, 'latin1')),
      ),
    )
    .map(([head, body]) => Uint8Array.from([...bytes(head, 'utf-8'), ...body]));
  await fc.assert(
    fc.asyncProperty(file, chunk, async (all, size) => {
      const whole = await outcome(all, 1 << 20);
      expect(await outcome(all, size)).toEqual(whole);
      if (typeof whole === 'string') expect(whole).not.toContain('\n');
    }),
    { numRuns: 1500, seed: 7 },
  );
});
