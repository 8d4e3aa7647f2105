import { describe, expect, it } from 'vitest';
import { columnNames, spacedColumns, valuesOf } from '../../data/attributes.ts';
import { parseCondition } from '../../data/filter.ts';

const kinds = ['Drama', 'Comedy', 'War'];
/** Every pair of genres once, as RecBole writes them; colours of two words that never come apart. */
const items = kinds.flatMap((a) =>
  kinds.map((b) => ({
    id: `${a} ${b}`,
    title: 'Peace, War',
    attributes: { genre: `${a} ${b}`, colour: a === 'War' ? 'dark red' : 'light blue' },
  })),
);

describe('values of attributes', () => {
  it('stand between |, commas and semicolons, and spaces where those divide a list', () => {
    expect(valuesOf('Drama | Film Noir,War;', false)).toEqual(['Drama', 'Film Noir', 'War']);
    expect(valuesOf('Drama  War', true)).toEqual(['Drama', 'War']);
    expect(valuesOf('', true)).toEqual([]);
    expect(valuesOf(undefined, false)).toEqual([]);
    expect(spacedColumns(items)).toEqual(new Set(['genre']));
    expect(columnNames(items)).toEqual(['genre', 'colour']);
  });

  it('are what a condition asks about; titles and IDs are whole', () => {
    const spaced = spacedColumns(items);
    const count = (text: string) => items.filter(parseCondition(text, columnNames(items), spaced)).length;
    expect(count('genre=war')).toBe(5);
    expect(count('genre="war drama"')).toBe(1);
    expect(count('colour=dark')).toBe(0);
    expect(count('colour="dark red"')).toBe(3);
    expect(count('title=war')).toBe(0);
    expect(count('title="peace, war"')).toBe(9);
    expect(count('id in ("War War", "Drama Comedy")')).toBe(2);
    const tagged = [{ id: '1', title: 't', attributes: { tags: 'red, soft' } }];
    expect(tagged.filter(parseCondition('tags=soft', ['tags']))).toHaveLength(1);
    expect(tagged.filter(parseCondition('tags!=soft', ['tags']))).toHaveLength(0);
  });
});
