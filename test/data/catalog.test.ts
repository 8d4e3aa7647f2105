import { describe, expect, it } from 'vitest';
import { readItems } from '../../data/formats/catalog.ts';
import { InputError } from '../../data/errors.ts';
import { chunked } from './bytes.ts';

const read = (text: string | Uint8Array) => readItems(chunked(text), 'items');

describe('readItems', () => {
  it('reads CSV, RecBole and movies.dat, Latin-1 too', async () => {
    const csv = await read('item_id,title,brand\n__proto__,"Pen, ""blue""",\n2,Ink,Ibis\n');
    expect(csv.get('__proto__')).toEqual({ title: 'Pen, "blue"', attributes: {} });
    expect(csv.get('2')).toEqual({ title: 'Ink', attributes: { brand: 'Ibis' } });
    const recbole = await read('item_id:token\tmovie_title:token_seq\tclass:token_seq\n1\t"Toy" Story\tAnimation\n');
    expect(recbole.get('1')).toEqual({ title: '"Toy" Story', attributes: { class: 'Animation' } });
    const latin1 = Uint8Array.from('73::Mis\u00e9rables, Les (1995)::Drama|Musical\n', (letter) =>
      letter.charCodeAt(0),
    );
    expect((await read(latin1)).get('73')).toEqual({
      title: 'Mis\u00e9rables, Les (1995)',
      attributes: { genres: 'Drama|Musical' },
    });
  });

  it('finds the IDs of a file that calls them id, and uses them where there is no title', async () => {
    expect(await read('id,colour\n7,red\n')).toEqual(new Map([['7', { title: '7', attributes: { colour: 'red' } }]]));
  });

  it.each([
    ['', 'items: the file is empty'],
    ['item,title\n', 'items: no items below the header'],
    ['code,title\n1,x\n', 'items: no column of item IDs among code, title'],
    ['item,title\n1,x\n2\n', 'items:3: expected 2 fields (item, title), found 1'],
    ['1 2\n', 'items: expected items or users as CSV'],
  ])('refuses %j', async (text, message) => {
    await expect(read(text)).rejects.toThrow(InputError);
    await expect(read(text)).rejects.toThrow(message);
  });
});
