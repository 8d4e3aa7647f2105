/** Quotes that are left open cost the rows that they are in, and no others. */
import { describe, expect, it } from 'vitest';
import { readItems } from '../../data/formats/catalog.ts';
import { chunked, pairs, readText } from './bytes.ts';

const lines = (count: number): string => Array.from({ length: count }, (_, i) => `u${i},i${i},${i}\n`).join('');

describe('quotes', () => {
  it.each([
    [
      'up to the next quote',
      'a,"weird,1\nb,y,2\nc,"z",3\nd,w,4\n',
      ['b y', 'c z', 'd w'],
      'a closing quote is followed by "z"',
    ],
    ['twice', 'a,"weird,1\nb,y,2\nc,"odd,3\nd,w,4\n', ['b y', 'd w'], 'a closing quote is followed by "o"'],
    [
      'up to a quote at a line end',
      'a,"weird,1\nb,y"\nd,w,4\n',
      ['d w'],
      'expected 3 fields, got 2, with a quoted field over several lines',
    ],
    ['to the end', 'a,x,1\nb,"y,2\nc,z,3\n', ['a x', 'c z'], 'a quote opens here and is not closed'],
    ['over 101 lines', `a,"weird,1\n${lines(101)}b,y",3\n`, null, 'is not closed within 100 lines'],
    ['text after a closing quote', 'a,"x" y,1\nb,y,2\n', ['b y'], 'a closing quote is followed by " "'],
  ])('an open quote %s is a bad row, and reading goes on in the next line', async (_, body, expected, problem) => {
    const text = `user,item,rating\n${body}`;
    for (const size of [1, 3, 4096]) {
      const log = await readText(text, { maxBadRows: 100 }, size);
      if (expected) expect(pairs(log).map((pair) => pair.join(' '))).toEqual(expected);
      else expect(log.size).toBe(102);
      expect(log.notes.join()).toContain(problem);
      expect(log.notes.join()).toMatch(/skipped log\.csv:[23]: /);
      await expect(readText(text, {}, size)).rejects.toThrow(/^log\.csv:[23]: /);
    }
  });

  it('keeps line breaks within 100 lines, CRLF and doubled quotes', async () => {
    const long = `one\n${'two\n'.repeat(99)}""three""`;
    const text = `user,item\r\na,"${long}"\r\nb,"x\r\ny"\r\n`;
    for (const size of [1, 3, 4096]) {
      expect(pairs(await readText(text, {}, size))).toEqual([
        ['a', long.replaceAll('""', '"')],
        ['b', 'x\r\ny'],
      ]);
    }
    expect((await readText(text)).notes.join()).toContain('a line break is in the item ID');
  });

  it('names the line in items files, too', async () => {
    await expect(readItems(chunked('item,title\n1,"weird\n2,b\n3,"c"\n'), 'items.csv')).rejects.toThrow(
      'items.csv:2: a closing quote is followed by "c", expected a delimiter or a line end; fix the row',
    );
  });
});
