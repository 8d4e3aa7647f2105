import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { pairs, readText } from './bytes.ts';

const TWO = [
  ['a', 'x'],
  ['b', 'y'],
];

describe('readLog: formats', () => {
  it.each([
    ['CSV', 'user_id,item_id,timestamp\na,x,1\nb,y,2\n'],
    ['CSV, columns in another order', 'Timestamp,movieId,extra,userId\n1,x,e,a\n2,y,e,b\n'],
    ['TSV', 'user\titem\tts\na\tx\t1\nb\ty\t2\n'],
    ['semicolons', 'user;product_id\na;x\nb;y\n'],
    ['RecBole', 'user_id:token\titem_id:token\trating:float\ttimestamp:float\na\tx\t3\t1\nb\ty\t4\t2\n'],
    ['MovieLens', 'a::x::5::1\nb::y::3::2\n'],
    ['MovieLens without times', 'a::x::5\nb::y::3\n'],
    ['SASRec text', 'a x\nb y\n'],
    ['CRLF', 'user,item\r\na,x\r\nb,y\r\n'],
    ['no newline at the end', 'user,item\na,x\nb,y'],
    ['blank lines', '\n\r\nuser,item\n\na,x\n\n\nb,y\n\n'],
    ['byte order mark', '\ufeffuser,item\na,x\nb,y\n'],
    ['quotes', '"user","item"\n"a","x"\nb,"y"\n'],
  ])('%s', async (_, text) => {
    for (const size of [1, 7, 4096]) expect(pairs(await readText(text, {}, size))).toEqual(TWO);
  });

  it('unpacks gzip, and counts the bytes of the file', async () => {
    const packed = gzipSync('user,item\na,x\nb,y\n');
    const seen: number[] = [];
    for (const size of [1, 7, 4096]) {
      expect(pairs(await readText(packed, { onProgress: (bytes: number) => seen.push(bytes) }, size))).toEqual(TWO);
    }
    expect(Math.max(...seen)).toBe(packed.length);
    expect(await readText(gzipSync('who,item\na,x\n')).catch((error: Error) => error.message)).toContain(
      'no user column',
    );
  });

  it('takes the tab-separated pairs of integers as SASRec text', async () => {
    expect(pairs(await readText('1\t10\n2\t20\n'))).toEqual([
      ['1', '10'],
      ['2', '20'],
    ]);
  });

  it('keeps ratings, and times as numbers or dates', async () => {
    const log = await readText(
      'user,item,rating,date\na,x,4.5,2020-01-02\na,y,,2020-01-01T00:00:01.5\na,z,1,2020-01-01 01:00:00+01:00\n',
    );
    expect(log.rating).toEqual(Float64Array.of(4.5, Number.NaN, 1));
    expect(log.time).toEqual(
      Float64Array.of(Date.UTC(2020, 0, 2), Date.UTC(2020, 0, 1, 0, 0, 1, 500), Date.UTC(2020, 0, 1)),
    );
  });

  it('has neither without such columns, and says that file order is time order', async () => {
    const log = await readText('user,item\na,x\n');
    expect([log.rating, log.time]).toEqual([null, null]);
    expect(log.notes.join()).toContain('in time order');
  });

  it('takes columns by the names given, order as time, and reports unknown times', async () => {
    const log = await readText('who,what,order\na,x,-1\na,y,3\na,z,\n', { columns: { user: 'who', item: 'WHAT' } });
    expect(log.time).toEqual(Float64Array.of(Number.NaN, 3, Number.NaN));
    expect(log.notes.join()).toContain('2 rows have no time');
  });
});

describe('readLog: IDs', () => {
  it('keeps spaces, quotes, newlines, __proto__ and long IDs as they are', async () => {
    const long = 'item number fifteen, the blue one';
    const text = `user,item\n__proto__,"a ""b"" c"\nconstructor, padded \n__proto__,"two\nlines"\n007,"${long}"\n6" pipe,x\n`;
    const expected = [
      ['__proto__', 'a "b" c'],
      ['constructor', ' padded '],
      ['__proto__', 'two\nlines'],
      ['007', long],
      ['6" pipe', 'x'],
    ];
    for (const size of [1, 5, 4096]) expect(pairs(await readText(text, {}, size))).toEqual(expected);
  });

  it('reads back what a CSV writer wrote, whatever the IDs and the chunks', async () => {
    const id = fc.string({ unit: fc.constantFrom(...'ab,;"\' \téあ𝄞\n'), minLength: 1, maxLength: 20 });
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(id, id), { minLength: 1 }),
        fc.integer({ min: 1, max: 50 }),
        async (rows, size) => {
          const text = `user,item\n${rows.map((row) => row.map(quoted).join(',')).join('\n')}`;
          expect(pairs(await readText(text, {}, size))).toEqual(rows);
        },
      ),
    );
  });
});

describe('readLog: faults', () => {
  const failure = async (text: string | Uint8Array, options = {}, size?: number): Promise<string> => {
    const error = await readText(text, options, size).then(
      () => new Error('was read'),
      (caught: Error) => caught,
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).not.toContain('\n');
    return error.message;
  };

  it.each([
    ['empty', '', 'the file is empty'],
    ['blank', '\n \n\r\n', 'the file is empty'],
    ['header only', 'user,item\n', 'no rows below the header'],
    ['prose', 'It was a dark and stormy night.\n', 'cannot tell the columns'],
    ['one column', 'user\na\n', 'cannot tell the columns'],
    ['control characters', '\u0001\u0002 \u0003,\n', 'not text'],
    ['NUL bytes', new Uint8Array([65, 0, 66]), 'NUL'],
    ['gzip that is cut off', gzipSync('user,item\na,x\n').subarray(0, 20), 'is damaged: its gzip data'],
    ['gzip of gzip', gzipSync(gzipSync('user,item\na,x\n')), 'twice'],
    ['Parquet without an end', new Uint8Array([0x50, 0x41, 0x52, 0x31]), 'cannot be read as Parquet'],
    ['zip', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0]), 'unzip'],
  ])('%s', async (_, text, message) => {
    expect(await failure(text)).toContain(message);
  });

  it('names the columns found and the flag to use', async () => {
    expect(await failure('who,item,ts\na,x,1\n')).toBe(
      'log.csv: no user column among who, item, ts; name it with `columns.user: NAME`',
    );
    expect(await failure('user,what\na,x\n')).toContain('`columns.item: NAME`');
    expect(await failure('who,what,ts\na,x,1\n')).toContain('`columns.all: user,item,...`');
    expect(await failure('1,2,3,4,5\n4,5,6,7,8\n')).toContain('put a header');
    expect(await failure('user,item\na,x\n', { columns: { time: 'when' } })).toBe(
      'log.csv: no column "when" (`columns.time`); its columns are user, item',
    );
    expect(await failure('a::b::1::2\n', { columns: { user: 'a' } })).toContain('has no header');
  });

  it.each([
    ['too few fields', 'user,item,ts\na,x,1\nb,y\n', 'log.csv:3: expected 3 fields (user, item, ts), found 2'],
    ['too many, after blank lines', '\nuser,item\n\na,x\n\nb,y,z\n', 'log.csv:6: expected 2 fields'],
    ['after a field of two lines', 'user,item\na,"x\ny"\nb\n', 'log.csv:4: expected 2 fields'],
    ['an empty item', 'user,item\na,\n', 'log.csv:2: the item is empty'],
    ['no number', 'user,item,ts\na,x,soon\n', 'log.csv:2: expected a number or a date as time, found "soon"'],
    ['no such date', 'user,item,ts\na,x,2020-13-01\n', 'log.csv:2: expected a number or a date'],
    ['an infinite time', 'user,item,ts\na,x,Infinity\n', 'log.csv:2: expected a number or a date'],
    ['no rating', 'user,item,rating\na,x,good\n', 'log.csv:2: expected a number as rating, found "good"'],
    ['MovieLens', 'a::b::1::2\na::b\n', 'log.csv:2: expected 4 fields'],
    ['SASRec text', 'a b\nc\n', 'log.csv:2: expected 2 fields (user, item), found 1'],
    ['an open quote', 'user,item\na,x\nb,"y\nc,z\n', 'log.csv:3: a quote opens here and is not closed'],
  ])('a malformed row with its line: %s', async (_, text, message) => {
    for (const size of [1, 4096]) expect(await failure(text, {}, size)).toContain(message);
  });

  it('skips as many rows as allowed and reports which', async () => {
    const text = 'user,item\na,x\nb\nc,"open\nb,y\n';
    const log = await readText(text, { maxBadRows: 2 });
    expect(pairs(log)).toEqual(TWO);
    expect(log.notes.join()).toContain('skipped log.csv:3: expected 2 fields (user, item), found 1');
    expect(log.notes.join()).toContain('skipped 2 rows in all');
    expect(await failure(text, { maxBadRows: 1 })).toContain(
      'log.csv:4: a quote opens here and is not closed, after 1',
    );
  });

  it('reads or refuses any text, the same whatever the chunks', async () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab1,,""\n\n\r'), maxLength: 60 });
    const outcome = (body: string, size: number) =>
      readText(`user,item\n${body}`, { maxBadRows: 1000 }, size).then(pairs, (error: Error) => {
        if (error instanceof InputError) return error.message;
        throw error;
      });
    await fc.assert(
      fc.asyncProperty(text, fc.integer({ min: 1, max: 9 }), async (body, size) => {
        expect(await outcome(body, size)).toEqual(await outcome(body, 1e6));
      }),
      { numRuns: 1000 },
    );
  });

  it('does not hold a file without line breaks in memory', async () => {
    expect(await failure('x,'.repeat(700_000), {}, 65_536)).toContain('log.csv:1: this line is too long');
    expect(await failure(`user,item\n${'x,'.repeat(700_000)}`, {}, 65_536)).toContain(
      'log.csv:2: this row is too long',
    );
  });
});
