import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeItems } from '../../data/features/encoder.ts';
import { parseCondition } from '../../data/features/condition.ts';
import { attributeKinds, parseKind } from '../../data/features/kinds.ts';
import { inferSchema } from '../../data/features/schema.ts';
import { similarity } from '../../data/features/similarity.ts';
import {
  columnNames,
  type Decimal,
  decimalOf,
  numberIn,
  PLAIN,
  type CellFormat,
  cellFormats,
  valuesOf,
} from '../../data/features/values.ts';

const kinds = ['Drama', 'Comedy', 'War'];
/** Every pair of genres once, as RecBole writes them; colors of two words that never come apart. */
const items = kinds.flatMap((a) =>
  kinds.map((b) => ({
    id: `${a} ${b}`,
    title: 'Peace, War',
    attributes: { genre: `${a} ${b}`, color: a === 'War' ? 'dark red' : 'light blue' },
  })),
);

describe('values of attributes', () => {
  it('stand between |, commas and semicolons, and spaces where those divide a list', () => {
    expect(valuesOf('Drama | Film Noir,War;', PLAIN)).toEqual(['Drama', 'Film Noir', 'War']);
    expect(valuesOf('Drama  War', { ...PLAIN, spaced: true })).toEqual(['Drama', 'War']);
    expect(valuesOf('', { ...PLAIN, spaced: true })).toEqual([]);
    expect(valuesOf(undefined, PLAIN)).toEqual([]);
    expect([...cellFormats(items)].map(([name, { spaced }]) => [name, spaced])).toEqual([
      ['genre', true],
      ['color', false],
    ]);
    expect(columnNames(items)).toEqual(['genre', 'color']);
  });

  it('are what a condition tests; titles and IDs are not split', () => {
    const readings = cellFormats(items);
    const count = (text: string) => items.filter(parseCondition(text, columnNames(items), readings)).length;
    expect(count('genre=war')).toBe(5);
    expect(count('genre="war drama"')).toBe(1);
    expect(count('color=dark')).toBe(0);
    expect(count('color="dark red"')).toBe(3);
    expect(count('title=war')).toBe(0);
    expect(count('title="peace, war"')).toBe(9);
    expect(count('id in ("War War", "Drama Comedy")')).toBe(2);
    const tagged = [{ id: '1', title: 't', attributes: { tags: 'red, soft' } }];
    expect(tagged.filter(parseCondition('tags=soft', ['tags']))).toHaveLength(1);
    expect(tagged.filter(parseCondition('tags!=soft', ['tags']))).toHaveLength(0);
  });
});

/** How people write an amount: with a currency, marks between thousands, and a decimal point or comma. */
const amounts = fc
  .record({
    value: fc.integer({ min: 0, max: 99_999_999 }),
    digits: fc.constantFrom(0, 1, 2),
    grouped: fc.boolean(),
    sign: fc.constantFrom('', '', '-'),
    around: fc.constantFrom(['', ''], ['$', ''], ['€ ', ''], ['', ' €'], ['', '\u00a0₽']),
  })
  .map(({ value, digits, grouped, sign, around: [before, after] }) => {
    const fraction = String(value % 10 ** digits).padStart(digits, '0');
    const whole = String(Math.floor(value / 10 ** digits));
    const number = Number(`${sign}${whole}.${fraction}`);
    const write = (decimal: Decimal): string => {
      const mark = decimal === '.' ? ',' : '.';
      const thousands = grouped ? whole.replace(/\B(?=(\d{3})+$)/g, mark) : whole;
      return `${sign}${before}${thousands}${digits > 0 ? decimal + fraction : ''}${after}`;
    };
    return { number, write };
  });

/** Cells without what the generator cannot know of: separators, brackets, blanks at the ends. */
const words = fc.stringMatching(/^[a-zé][a-z0-9é_'-]{0,8}$/);
const attribute = 'value';
const catalog = (cells: readonly string[]) =>
  cells.map((cell, i) => ({ id: `i${i}`, title: `i${i}`, attributes: { [attribute]: cell } }));
const rowsWhere = (items: ReturnType<typeof catalog>, condition: string): number[] => {
  const passes = parseCondition(condition, columnNames(items), cellFormats(items));
  return items.flatMap((item, row) => (passes(item) ? [row] : []));
};
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

describe('what the schema parses, every consumer parses alike', () => {
  it('amounts, with a point or a comma as the whole column says', () => {
    fc.assert(
      fc.property(
        fc.array(amounts, { minLength: 12, maxLength: 30 }),
        fc.constantFrom<Decimal>('.', ','),
        (list, mark) => {
          // One cell that says which mark it is, as any column with a fraction has.
          const all = [...list.map(({ number, write }) => ({ number, cell: write(mark) }))];
          all.push({ number: 1234.5, cell: mark === '.' ? '1,234.5' : '1.234,5' });
          const items = catalog(all.map(({ cell }) => cell));
          const distinct = new Set(all.map(({ cell }) => cell)).size;
          fc.pre(distinct > 8);
          const [column] = inferSchema(items).columns;
          expect(column.type).toBe('number');
          const numbers = all.map(({ number }) => number);
          expect(column.knots?.[0]).toBe(Math.min(...numbers));
          expect(column.mean).toBeCloseTo(numbers.reduce((sum, x) => sum + x, 0) / numbers.length, 4);
          // The tower reads each as the number itself: so would a column of plain numbers.
          const plain = catalog(numbers.map(String));
          expect(encodeItems({ titleYear: false, columns: [column] }, items).tokens).toEqual(
            encodeItems({ titleYear: false, columns: [{ ...column, decimal: undefined }] }, plain).tokens,
          );
          const bound = numbers[0];
          expect(rowsWhere(items, `value<${bound}`)).toEqual(numbers.flatMap((x, row) => (x < bound ? [row] : [])));
          expect(rowsWhere(items, `value=${bound}`)).toEqual(numbers.flatMap((x, row) => (x === bound ? [row] : [])));
          expect(rowsWhere(items, `value>=${quoted(all[0].cell)}`)).toEqual(
            numbers.flatMap((x, row) => (x >= bound ? [row] : [])),
          );
          // Caps count equal numbers as one value; numbers are no kinds.
          const reading = cellFormats(items).get(attribute) as CellFormat;
          expect(all.map(({ cell }) => valuesOf(cell, reading))).toEqual(numbers.map((x) => [String(x)]));
          expect(attributeKinds(items.map(({ attributes }) => attributes)).every((kinds) => kinds.size === 0)).toBe(
            true,
          );
        },
      ),
      { seed: 1, numRuns: 200 },
    );
  });

  it('lists, whatever separates their values', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(words, { minLength: 2, maxLength: 5 }),
        fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), { minLength: 20, maxLength: 40 }),
        fc.uniqueArray(fc.constantFrom('|', ', ', ';'), { minLength: 1, maxLength: 3 }),
        (known, picks, separators) => {
          const lists = picks.map((own) => [...new Set(own.map((k) => known[k % known.length]))]);
          const items = catalog(lists.map((list, i) => list.join(separators[i % separators.length])));
          const [column] = inferSchema(items).columns;
          fc.pre(column.type === 'list');
          expect([...(column.values ?? [])].sort()).toEqual([...new Set(lists.flat())].sort());
          const reading = cellFormats(items).get(attribute) as CellFormat;
          const kinds = attributeKinds(items.map(({ attributes }) => attributes));
          for (const value of column.values ?? []) {
            const holders = lists.flatMap((list, row) => (list.includes(value) ? [row] : []));
            expect(rowsWhere(items, `value=${quoted(value)}`)).toEqual(holders);
            expect(
              items.flatMap((item, row) => (valuesOf(item.attributes.value, reading).includes(value) ? [row] : [])),
            ).toEqual(holders);
            const found = kinds.flatMap((own, row) =>
              [...own].some((kind) => parseKind(kind).value === value) ? [row] : [],
            );
            if (found.length > 0) expect(found).toEqual(holders);
          }
        },
      ),
      { seed: 1, numRuns: 200 },
    );
  });
});

describe('numbers', () => {
  it.each([
    ['$12.99', '.', 12.99],
    ['1,299', '.', 1299],
    ['1,299,000.5', '.', 1_299_000.5],
    ['€ 1.299,00', ',', 1299],
    ['1.299', ',', 1299],
    ['12,5', ',', 12.5],
    ['-€5,5', ',', -5.5],
    ['€-5,5', ',', -5.5],
    ["1'299.50", '.', 1299.5],
    ['1\u202f299,50 €', ',', 1299.5],
    ['$.99', '.', 0.99],
    ['1e3', '.', 1000],
    ['', '.', Number.NaN],
    ['$', '.', Number.NaN],
    ['1,29', '.', Number.NaN],
    ['0,299', '.', Number.NaN],
    ['1.5', ',', Number.NaN],
    ['$5€', '.', Number.NaN],
    ['12 99', '.', Number.NaN],
    ['1,299.000,5', ',', Number.NaN],
  ] as const)('%s with the mark %s is %s', (text, decimal, number) => {
    expect(numberIn(text, decimal)).toBe(number);
  });

  it('the comma is a decimal mark only where it explains more of the column', () => {
    expect(decimalOf(['1,299', '2,499'])).toBe('.');
    expect(decimalOf(['1,299', '12,5'])).toBe(',');
    expect(decimalOf(['1.299', '€ 12,50'])).toBe(',');
    expect(decimalOf(['1.299', '2.499'])).toBe('.');
    expect(decimalOf(['0,299', '0,5'])).toBe(',');
    expect(decimalOf(['a', 'b'])).toBe('.');
  });

  it('a missing value that the schema fills in is read as the column writes numbers', () => {
    const cells = ['€ 1.299,00', '12,5', '7,25', '8', '9', '10', '11,1', '12', '13', ''];
    for (const missing of ['mean', 'median', 'constant:7.25'] as const) {
      const schema = inferSchema(catalog(cells), [{ name: attribute, missing }]);
      expect(schema.columns[0]).toMatchObject({ type: 'number', decimal: ',' });
      expect(() => encodeItems(schema, catalog(['']))).not.toThrow();
      expect(() => similarity(schema, catalog(cells))).not.toThrow();
    }
  });
});
