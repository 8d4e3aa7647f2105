import { describe, expect, test } from 'vitest';
import { attributeRows, encodeItems } from '../../data/features/encoder.ts';
import { describeSchema, inferSchema, parseSchema, type Schema } from '../../data/features/schema.ts';
import { similarity } from '../../data/features/similarity.ts';

const GENRES = ['Drama', 'War', 'Comedy'];
const COLOURS = ['red', 'blue', 'light blue'];
const items = Array.from({ length: 40 }, (_, i) => ({
  id: `i${i}`,
  title: `${['The Great', 'A Small', 'My'][i % 3]} Film ${i} (${1950 + i})`,
  attributes: {
    genres: i % 4 === 0 ? 'Drama|War' : GENRES[i % 3],
    colour: COLOURS[i % 3],
    price: String(10 + i * 1.5),
    stars: String(1 + (i % 5)),
    added: `20${10 + (i % 9)}-0${1 + (i % 9)}-1${i % 7}`,
    image: `[${i / 10}, ${Math.sin(i)}, ${Math.cos(i)}, 0.5]`,
    blurb: `${i} about ${['a dog', 'a war', 'two cats', 'the sea', 'love'][i % 5]} and number ${i * 7}`,
    link: `https://example.com/${i}`,
    ...(i % 10 === 0 ? {} : { maker: `m${i % 4}` }),
  } as Record<string, string>,
}));
const byName = (schema: Schema) => Object.fromEntries(schema.columns.map((column) => [column.name, column]));

describe('schema', () => {
  const schema = inferSchema(items);
  const columns = byName(schema);

  test('is inferred from the values', () => {
    const types = Object.fromEntries(schema.columns.map(({ name, type }) => [name, type]));
    expect(types).toEqual({
      genres: 'list',
      colour: 'category',
      price: 'number',
      stars: 'category',
      added: 'time',
      image: 'vector',
      blurb: 'text',
      link: 'skip',
      maker: 'category',
      year: 'number',
      title: 'text',
    });
    expect(columns.genres).toMatchObject({ separator: '|', values: expect.arrayContaining(GENRES) });
    expect(columns.image).toMatchObject({ width: 4, separator: ',' });
    expect(columns.year.knots?.[0]).toBe(1950);
  });

  test('prints each column, and the share that is missing', () => {
    const lines = describeSchema(schema);
    expect(lines).toContain('year from titles: number, 1950 to 1989');
    expect(lines).toContain('maker: category, 4 values, 10.0 % missing (learned)');
  });

  test('takes years from titles only if most have one and there is no column of years', () => {
    const few = items.map((item, i) => (i % 2 ? item : { ...item, title: 'A film' }));
    expect(inferSchema(few).titleYear).toBe(false);
    const dated = items.map((item) => ({ ...item, attributes: { year: '1990' } }));
    expect(inferSchema(dated).titleYear).toBe(false);
  });

  test('RecBole separates genres by spaces; two words are one value elsewhere', () => {
    const spaced = items.map((item, i) => ({
      ...item,
      attributes: {
        class: `${['Drama', 'War'][i % 2]} ${['Film', 'Noir', 'Fun'][i % 3]} ${['A', 'B', 'C', 'D', 'E'][i % 5]}`,
      },
    }));
    expect(byName(inferSchema(spaced)).class).toMatchObject({ type: 'list', separator: ' ' });
    expect(columns.colour.values).toContain('light blue');
  });

  test('prices are numbers, whatever their currency', () => {
    const priced = (of: (i: number) => string) => items.map((item, i) => ({ ...item, attributes: { price: of(i) } }));
    for (const of of [(i: number) => `$${1000 + i}.50`, (i: number) => `1,${100 + i}.50 €`, (i: number) => `£ ${i}`]) {
      expect(byName(inferSchema(priced(of))).price).toMatchObject({ type: 'number' });
    }
    expect(byName(inferSchema(priced((i) => `1,${100 + i}.50 €`))).price.knots?.[0]).toBe(1100.5);
    const withComma = inferSchema(priced((i) => `${i},5`));
    expect(byName(withComma).price).toMatchObject({ type: 'number', decimal: ',', mean: 20 });
    expect(describeSchema(withComma)[0]).toBe('price: number, 0.5 to 39.5, written with a decimal comma');
  });

  test('a schema file overrides what is inferred', () => {
    const text = '{"columns":[{"name":"stars","type":"number","missing":"median"},{"name":"blurb","type":"skip"}]}';
    const fixed = byName(inferSchema(items, parseSchema(text, 'schema.json')));
    expect(fixed.stars).toMatchObject({ type: 'number', missing: 'median', median: 3 });
    expect(fixed.blurb.type).toBe('skip');
  });

  test.each([
    ['{', /no JSON/],
    ['[]', /"columns"/],
    ['{"columns":[{"name":"stars","type":"words"}]}', /type words is unknown; there is category/],
    ['{"columns":[{"name":"stars","missing":"often"}]}', /missing often; learned/],
  ])('refuses %s', (text, message) => {
    expect(() => parseSchema(text, 'schema.json')).toThrow(message);
  });

  test('refuses columns that are not there, and means of words', () => {
    expect(() => inferSchema(items, [{ name: 'weight' }])).toThrow(/no column "weight"; there is genres/);
    expect(() => inferSchema(items, [{ name: 'colour', missing: 'mean' }])).toThrow(/colour is a category, so it/);
    expect(() => inferSchema(items, [{ name: 'colour', type: 'number' }])).toThrow(/colour is a number, found "red"/);
  });
});

describe('features', () => {
  const only = (attributes: Record<string, string>, fixed = {}) => {
    const all = Array.from({ length: 9 }, (_, i) => ({ id: `${i}`, title: `${i}`, attributes: { x: String(i * i) } }));
    const schema = inferSchema(all, [{ name: 'x', type: 'number', ...fixed }]);
    const { tokens, itemStarts } = encodeItems(schema, [{ id: 'new', title: 'new', attributes }]);
    const of = (t: number) => [...tokens.columns.subarray(tokens.starts[t], tokens.starts[t + 1])];
    const weights = [...tokens.values];
    return { count: itemStarts[1], rows: Array.from({ length: itemStarts[1] }, (_, t) => of(t)), weights };
  };

  test('a number lies between two knots', () => {
    // Row 0 is the item's own token, 1 the column's, 2 missing, 3 unknown, then the knots 0, 1, 4, 9, …
    expect(only({ x: '6.5' })).toEqual({ count: 2, rows: [[0], [1, 6, 7]], weights: [1, 1, 0.5, 0.5] });
    expect(only({ x: '9' }).rows[1]).toEqual([1, 7]);
    expect(only({ x: '-5' }).rows[1]).toEqual([1, 4]);
    expect(only({ x: '5000' }).rows[1]).toEqual([1, 12]);
  });

  test('missing values: an embedding of their own, nothing, or another value', () => {
    expect(only({}).rows[1]).toEqual([1, 2]);
    expect(only({}, { missing: 'drop' }).count).toBe(1);
    expect(only({}, { missing: 'median' }).rows[1]).toEqual([1, 8]);
    expect(only({}, { missing: 'constant:4' }).rows[1]).toEqual([1, 6]);
  });

  test('every column has rows of its own, and unseen values count as unknown', () => {
    const schema = inferSchema(items);
    const known = encodeItems(schema, items);
    expect(known.unseen.size).toBe(0);
    expect(known.rows).toBe(attributeRows(schema));
    expect(known.tokens.columns.every((row) => row < known.rows)).toBe(true);
    expect(known.tokens.values.every(Number.isFinite)).toBe(true);
    // Its own, two genres, colour, price, stars, clock and time, vector, blurb, maker missing, year, title.
    expect(known.itemStarts[1]).toBe(13);
    const strange = [{ ...items[0], attributes: { ...items[0].attributes, genres: 'Noir|War|Opera', colour: 'teal' } }];
    expect([...encodeItems(schema, strange).unseen]).toEqual([
      ['genres', 2],
      ['colour', 1],
    ]);
  });
});

describe('similarity', () => {
  const schema = inferSchema(items);
  const similar = similarity(schema, items);
  const rows = items.map((_, i) => {
    const row = new Float32Array(items.length);
    similar(i, 0.5, row);
    return row;
  });

  test('is symmetric, and largest with itself', () => {
    for (let i = 0; i < rows.length; i++) {
      for (let j = 0; j < i; j++) {
        expect(rows[i][j]).toBeCloseTo(rows[j][i], 5);
        expect(rows[i][j]).toBeLessThan(rows[i][i] + 1e-6);
      }
    }
  });

  test('is positive definite: its Cholesky factor exists', () => {
    const n = rows.length;
    const l = rows.map((row) => Float64Array.from(row));
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < j; k++) l[j][j] -= l[j][k] ** 2;
      expect(l[j][j]).toBeGreaterThan(0);
      l[j][j] = Math.sqrt(l[j][j]);
      for (let i = j + 1; i < n; i++) {
        for (let k = 0; k < j; k++) l[i][j] -= l[i][k] * l[j][k];
        l[i][j] /= l[j][j];
      }
    }
  });
});
