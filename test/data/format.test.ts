/** Logs as people have them: with a header or without, and notes about the columns that were taken. */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { readLog, readLogFiles } from '../../data/formats/reader.ts';
import { chunked, pairs, readText } from './bytes.ts';

const TWO = ['a1 x1', 'b2 y2'];
const NOW = 1_700_000_000;
const joined = (log: Parameters<typeof pairs>[0]): string[] => pairs(log).map((pair) => pair.join(' '));

describe('files without a header', () => {
  it.each([
    ['MovieLens 100K', `a1\tx1\t3\t${NOW}\nb2\ty2\t4\t${NOW}\n`, 'user, item, rating, timestamp'],
    ['commas', `a1,x1,3.5,${NOW}\nb2,y2,4,${NOW}\n`, 'user, item, rating, timestamp'],
    ['bars', `a1|x1|3\nb2|y2|4\n`, 'user, item, rating'],
    ['blanks, as librec has them', 'a1 x1 3\nb2 y2 4.5\n', 'user, item, rating'],
    ['times, as dates', 'a1;x1;2020-01-02\nb2;y2;2020-01-03\n', 'user, item, timestamp'],
    ['the time before the rating', `a1,x1,${NOW},3\nb2,y2,${NOW},4\n`, 'user, item, timestamp, rating'],
    ['pairs of numbers', 'a1 x1\nb2 y2\n', 'user, item'],
    ['MovieLens', `a1::x1::3::${NOW}\nb2::y2::4::${NOW}\n`, 'user, item, rating, timestamp'],
  ])('%s: recognized, and said', async (_, text, columns) => {
    for (const size of [1, 5, 4096]) {
      const log = await readText(text, {}, size);
      expect(joined(log)).toEqual(TWO);
      expect(log.notes[0]).toContain(`no header: columns are taken as ${columns} by their shape`);
      expect([log.rating !== null, log.time !== null]).toEqual([columns.includes('rating'), columns.includes('time')]);
    }
  });

  it.each([
    ['commas', 'x1,3,a1,k\ny2,4,b2,k\n'],
    ['bars', 'x1|3|a1|k\ny2|4|b2|k\n'],
    ['blanks', 'x1 3 a1 k\ny2 4 b2 k\n'],
    ['::', 'x1::3::a1::k\ny2::4::b2::k\n'],
  ])('with --columns, divided by %s', async (_, text) => {
    const log = await readText(text, { columns: { all: 'item, rating,user,kind' } });
    expect(joined(log)).toEqual(TWO);
    expect(log.columns).toEqual({ user: 'user', item: 'item', time: null, rating: 'rating' });
    expect(joined(await readText(text, { columns: { all: 'i,r,u,k', user: 'u', item: 'i' } }))).toEqual(TWO);
  });

  it('takes the names of a header if there is one, and reports it', async () => {
    const log = await readText('user,item\na1,x1\nb2,y2\n', { columns: { all: 'item,user' } });
    expect(joined(log)).toEqual(TWO);
    expect(log.notes.join()).toContain('has column names of its own, which count, not those of `columns.all`');
    await expect(readText('a,b\n', { columns: { all: 'user' } })).rejects.toThrow('expected the names of all columns');
  });

  it('does not guess where the shape is not plain', async () => {
    for (const text of ['1,2,3000,x\n1,2,3000,y\n', '1,2,3,4,5,6\n1,2,3,4,5,6\n', '1,2,1200,5000\n']) {
      await expect(readText(text)).rejects.toThrow('name its columns with `columns.all');
    }
    await expect(readText('1 2 3000\n1 2 4000\n')).rejects.toThrow('cannot tell the columns');
  });

  it('reads a user and its items a line', async () => {
    const log = await readText('1 7 8 9\n2 8\n3 9 7\n');
    expect(joined(log)).toEqual(['1 7', '1 8', '1 9', '2 8', '3 9', '3 7']);
    expect(log.time).toBe(null);
    expect(log.notes.join()).toContain('a user and its items');
  });
});

describe('other texts', () => {
  it.each([
    ['JSON lines', '{"user_id":"a1","movie":"x1"}\n\n{"movie":"y2","user_id":"b2","more":[1]}\n'],
    ['sep=', 'sep=;\r\nuser;item\r\na1;x1\r\nb2;y2\r\n'],
    ['comments', '# made by hand\n# twice\nuser,item\na1,x1\n# and again\nb2,y2\n'],
    ['a header in a comment', '% user item weight\na1 x1 7000\nb2 y2 8000\n'],
    ['a header divided by blanks', 'user item\na1 x1\nb2 y2\n'],
    ['CR alone', 'user,item\ra1,x1\rb2,y2\r'],
    ['bars with a header', 'user|item|genres\na1|x1|d\nb2|y2|e\n'],
    [':: with a header', 'UserID::MovieID\na1::x1\nb2::y2\n'],
  ])('%s', async (_, text) => {
    for (const size of [1, 5, 4096]) expect(joined(await readText(text, {}, size))).toEqual(TWO);
  });

  it('keeps numbers of 64 bits in JSON apart, and refuses lists as IDs', async () => {
    const log = await readText(
      '{"user":12345678901234567890,"item":"n: 12345678901234567890, \\"q\\""}\n{"user":12345678901234567891,"item":7,"time":1.5}\n',
    );
    expect(joined(log)).toEqual(['12345678901234567890 n: 12345678901234567890, "q"', '12345678901234567891 7']);
    const bad = '{"user":"a","item":["x","y"]}\n{"user":"b","item":"x"}\nno\n[1]\n{"user":"c"}\n';
    await expect(readText(bad)).rejects.toThrow('log.csv:1: item is a list or an object, not an ID');
    const rest = await readText(bad, { maxBadRows: 4 });
    expect([rest.size, rest.badRows]).toEqual([1, 4]);
  });

  it.each([
    ['a page', '<!DOCTYPE html>\n<html><body>Log in, please</body></html>\n', 'is an HTML or XML page, not a log'],
    ['a JSON array', '[{"user":1,"item":2}]\n', 'jq -c'],
    ['JSON over lines', '{\n "user": 1\n}\n', 'jq -c'],
  ])('refuses %s', async (_, text, message) => {
    await expect(readText(text)).rejects.toThrow(message);
    await expect(readText(text)).rejects.toThrow(InputError);
  });

  it.each(['event_timestamp', 'event_time', 'Event_DateTime', 'eventdate', 'created_at', 'interaction_time'])(
    'finds the time %s',
    async (name) => {
      expect((await readText(`user,item,${name}\na,x,${NOW}\n`)).columns?.time).toBe(name);
    },
  );
});

describe('notes about the columns', () => {
  it('which were taken, which others would do, and which names are there twice', async () => {
    const log = await readText('session_id,user_id,asin,movie_id,ts,x,x\ns,a1,p,x1,5,1,1\n');
    expect(log.columns).toEqual({ user: 'user_id', item: 'movie_id', time: 'ts', rating: null });
    expect(log.notes).toEqual([
      'columns: user "user_id", item "movie_id", time "ts"',
      'user: took "user_id", not "session_id" (`columns.user: NAME` says otherwise)',
      'item: took "movie_id", not "asin" (`columns.item: NAME` says otherwise)',
      '2 columns are called "x": the first counts',
    ]);
    expect((await readText('user,item,uid\na,x,b\n', { columns: { user: 'uid' } })).notes.join()).not.toContain(
      'not "',
    );
  });

  it('refuses one column in two roles', async () => {
    await expect(readText('user,item\na,x\n', { columns: { user: 'item' } })).rejects.toThrow(
      'log.csv: user and item are the same column, "item"',
    );
  });

  it('IDs with spaces around them, in quotes', async () => {
    const { notes } = await readText('user,item\na , x\nb, x\n');
    expect(notes.join()).toContain('1 user ID starts or ends with a space, such as "a ": kept as written');
    expect(notes.join()).toContain('1 item ID starts or ends with a space, such as " x"');
  });

  it('IDs that stand for missing values', async () => {
    const { notes } = await readText('user,item\nNA,x\nNA,None\nb,null\n');
    expect(notes.join()).toContain('2 rows with the user "NA": an ID like any other');
    expect(notes.join()).toContain('1 row with the item "None"');
    expect(notes.join()).toContain('1 row with the item "null"');
    expect((await readText('user,item\nNAN,x\n')).notes.join()).not.toContain('an ID like any other');
  });
});

describe('a log in several files', () => {
  const read = (files: Record<string, string>, options = {}) =>
    readLogFiles(
      Object.entries(files).map(([name, text]) => ({ name, chunks: chunked(text) })),
      'all',
      options,
    );

  it('is one log, in the order given, whatever the order of their columns', async () => {
    const log = await read({ 'b.csv': 'user,item,ts\na1,x1,5\n', 'a.csv': 'ts,user,item\n6,b2,y2\n' });
    expect(joined(log)).toEqual(TWO);
    expect([...(log.time ?? [])]).toEqual([5, 6]);
  });

  it('names file and line', async () => {
    await expect(read({ 'a.csv': 'user,item\na,x\n', 'b.csv': 'user,item\na\n' })).rejects.toThrow(
      'b.csv:2: expected 2',
    );
    await expect(
      read({ 'a.csv': `user,item,ts\na,x,${NOW}\n`, 'b.csv': `user,item,ts\n\na,x,${NOW}000\n` }),
    ).rejects.toThrow(`seconds (a.csv:2: ${NOW}) and in milliseconds (b.csv:3: ${NOW}000)`);
    await expect(read({ 'a.csv': 'user,item,ts\na,x,1\n', 'b.csv': 'user,item\na,x\n' })).rejects.toThrow(
      'b.csv: has no time column, unlike the files before it',
    );
  });

  it('counts bytes over all of them', async () => {
    const seen: number[] = [];
    const onProgress = (bytes: number) => seen.push(bytes);
    await read({ 'a.csv': 'user,item\na,x\n', 'b.csv': 'user,item\na,y\n' }, { onProgress });
    expect(seen.at(-1)).toBe(28);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  it('refuses encodings that differ', async () => {
    const latin1 = Uint8Array.from('user,item\n\xe9,x\n', (char) => char.charCodeAt(0));
    const files = [
      { name: 'a.csv', chunks: chunked('user,item\né,x\n') },
      { name: 'b.csv', chunks: chunked(latin1) },
    ];
    await expect(readLogFiles(files, 'all')).rejects.toThrow('b.csv: is Latin-1, unlike the files before it');
    expect((await readLog(chunked(latin1), 'b.csv')).userIds).toEqual(['é']);
  });
});
