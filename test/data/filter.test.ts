import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { parseCondition } from '../../data/features/condition.ts';

const names = ['price', 'category', 'genres', 'Shelf life'];
const item = (attributes: Record<string, string>, id = 'a', title = 'A thing') => ({ id, title, attributes });
const passes = (text: string, attributes: Record<string, string>) => parseCondition(text, names)(item(attributes));

describe('conditions on items', () => {
  it.each([
    ['price<50 and category=shoes', { price: '49.9', category: 'Shoes' }, true],
    ['price<50 and category=shoes', { price: '50', category: 'shoes' }, false],
    ['price <= 50', { price: '50' }, true],
    ['price>=50', { price: '49' }, false],
    ['price>1', { price: 'dear' }, false],
    ['price<1', {}, false],
    ['genres=comedy', { genres: 'Drama|Comedy' }, true],
    ['genres!=comedy', { genres: 'Drama|Comedy' }, false],
    ['genres!=comedy', {}, true],
    ['genres in (war, "Film-Noir")', { genres: 'Drama|Film-Noir' }, true],
    ['genres not in (war)', { genres: 'War' }, false],
    ['price is missing', {}, true],
    ['price is not missing', { price: '0' }, true],
    ['"Shelf life">3', { 'Shelf life': '4' }, true],
    ['not price<50', { price: '60' }, true],
    ['price<5 or price>9 and category=x', { price: '1' }, true],
    ['(price<5 or price>9) and category=x', { price: '1' }, false],
    ['title="a thing"', {}, true],
    ['PRICE == 5', { price: '5' }, true],
  ] as const)('%s of %j is %s', (text, attributes, wanted) => {
    expect(passes(text, attributes)).toBe(wanted);
  });

  it.each([
    ['', 'expected the name of an attribute, at character 1'],
    ['price', 'expected a comparison after price (=, !=, <, <=, >, >=, in, is missing), at character 6'],
    ['price<cheap', '< compares numbers, found cheap, at character 7'],
    [
      'colour=red',
      'no item has an attribute colour; there is price, category, genres, Shelf life, id, title, at character 1',
    ],
    ['price<5 category=x', 'expected "and", "or" or the end, at character 9'],
    ['(price<5', 'expected ), at character 9'],
    ['category="shoes', 'a double quote is not closed, at character 10'],
    ['category=', 'expected a value, at character 10'],
    ['price!5', 'unexpected !, at character 6'],
    [`${'not ('.repeat(17)}price<5`, 'expected at most 32 conditions inside each other, at character 85'],
  ])('refuses %j', (text, message) => {
    expect(() => parseCondition(text, names)).toThrow(InputError);
    expect(() => parseCondition(text, names)).toThrow(`condition ${JSON.stringify(text)}: ${message}`);
  });
});
