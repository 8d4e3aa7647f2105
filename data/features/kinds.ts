/** The kinds of an item: the values of its attributes, split where one text lists several. */
import { numberIn, PLAIN, cellFormats, valuesOf } from './values.ts';

/** Between the name of an attribute and one of its values. */
const BETWEEN = '\u0000';

/**
 * The kinds of each item, one text for each attribute and value, which {@link parseKind} parses. Columns that do not
 * classify are left out: numbers (prices, years), and those with a distinct value for every other item (links,
 * descriptions).
 *
 * @param attributes [V] column → text
 */
export function attributeKinds(attributes: readonly Readonly<Record<string, string>>[]): Set<string>[] {
  const readings = cellFormats(attributes.map((of) => ({ attributes: of })));
  const columns = new Map<string, string[][]>();
  attributes.forEach((of, row) => {
    for (const [name, text] of Object.entries(of)) {
      if (!columns.has(name)) columns.set(name, []);
      (columns.get(name) as string[][])[row] = valuesOf(text, readings.get(name) ?? PLAIN);
    }
  });
  const kinds: Set<string>[] = attributes.map(() => new Set());
  for (const [name, rows] of columns) {
    const words = rows.flat();
    const filled = rows.filter((row) => row?.length > 0).length;
    const { decimal } = readings.get(name) ?? PLAIN;
    if (words.every((word) => Number.isFinite(numberIn(word, decimal)))) continue;
    if (new Set(words).size > filled / 2) continue;
    rows.forEach((row, at) => {
      for (const word of row) kinds[at]?.add(`${name}${BETWEEN}${word}`);
    });
  }
  return kinds;
}

export function parseKind(kind: string): { attribute: string; value: string } {
  const at = kind.indexOf(BETWEEN);
  return { attribute: kind.slice(0, at), value: kind.slice(at + 1) };
}
