/** UTF-8 or Latin-1: the whole file decides, whatever the chunks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readItems } from '../../data/formats/catalog.ts';
import { ByteDecoder, decodeText, latin1Of } from '../../data/formats/text.ts';
import { chunked, pairs, readText } from './bytes.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const decoded = (bytes: Uint8Array, size: number): [string, string] => {
  const decoder = new ByteDecoder('a file');
  let text = '';
  for (let at = 0; at < bytes.length; at += size) text += decoder.push(bytes.subarray(at, at + size));
  text += decoder.end();
  return [text, decoder.encoding];
};

describe('Decoder', () => {
  it('reads UTF-8 as it is written, whatever the chunks', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 9 }), (text, size) => {
        const plain = `x${text.replaceAll('\0', '')}`;
        expect(decoded(utf8(plain), size)[0]).toBe(plain);
      }),
    );
  });

  it('loses no byte of what is not UTF-8', () => {
    const bytes = fc.uint8Array({ min: 1, max: 255, maxLength: 40 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 9 }), (tail, size) => {
        const all = Uint8Array.from([120, ...tail]);
        const [text, encoding] = decoded(all, size);
        expect(latin1Of(text)).toBe(new TextDecoder('windows-1252').decode(all));
        expect([text, encoding]).toEqual(decoded(all, 1000));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('readLog: encodings', () => {
  const body = 'user,item\nJosé,x\nana,Müller\njosé,x\n';

  it('reads Latin-1 and says so', async () => {
    for (const size of [1, 5, 4096]) {
      const log = await readText(latin1(body), {}, size);
      expect(pairs(log)).toEqual([
        ['José', 'x'],
        ['ana', 'Müller'],
        ['josé', 'x'],
      ]);
      expect(log.notes.join()).toContain('read as Latin-1');
    }
    expect((await readText(utf8(body))).notes.join()).not.toContain('Latin-1');
  });

  it('keeps the names of columns, and IDs that differ in one byte', async () => {
    const log = await readText(latin1('usér,item\na\xe9,x\na\xe8,x\n'), { columns: { user: 'usér' } });
    expect(log.userIds).toEqual(['a\xe9', 'a\xe8']);
  });

  it('treats one bad byte in UTF-8 as a bad row, not as another encoding', async () => {
    const bad = Uint8Array.from([...utf8('user,item\nJosé,x\nana,Mü\nx'), 0xe9, ...utf8(',y\nb,é\n')]);
    for (const size of [1, 5, 4096]) {
      await expect(readText(bad, {}, size)).rejects.toThrow('log.csv:4: is not UTF-8, unlike the rest');
      const log = await readText(bad, { maxBadRows: 1 }, size);
      expect(pairs(log)).toEqual([
        ['José', 'x'],
        ['ana', 'Mü'],
        ['b', 'é'],
      ]);
      expect(log.badRows).toBe(1);
    }
    const items = Uint8Array.from([...utf8('item,title\n1,Mü\n2,é\n3,'), 0xe9, 10]);
    await expect(readItems(chunked(items), 'items.csv')).rejects.toThrow('items.csv:4: is not UTF-8');
    expect(() => decodeText(items, 'ids.txt')).toThrow('ids.txt:4: is not UTF-8');
  });
});

it('decodeText drops a byte order mark and reads Latin-1', () => {
  expect(decodeText(utf8('\ufeffa\nb'), 'ids.txt')).toBe('a\nb');
  expect(decodeText(Uint8Array.of(0xe9), 'ids.txt')).toBe('é');
  expect(() => decodeText(Uint8Array.of(0xff, 0xfe, 65, 0), 'ids.txt')).toThrow('UTF-16');
});
