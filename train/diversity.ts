/** How far apart two items are, for the diversity of lists: by what is known of them, or by what a model has learned. */
import { spacedColumns, valuesOf } from '../data/attributes.ts';
import type { Distance } from './list-metrics.ts';

/**
 * Jaccard distance of the items' attribute values: 1 − shared / all. Columns that say nothing about kinds are left out:
 * numbers (prices, years), and those with a value of its own for every other item (links, descriptions).
 *
 * @param attributes [V] column → text
 * @returns null where no column is left
 */
export function attributeDistance(attributes: readonly Readonly<Record<string, string>>[]): Distance | null {
  const spaced = spacedColumns(attributes.map((of) => ({ attributes: of })));
  const columns = new Map<string, string[][]>();
  attributes.forEach((of, row) => {
    for (const [name, text] of Object.entries(of)) {
      if (!columns.has(name)) columns.set(name, []);
      (columns.get(name) as string[][])[row] = valuesOf(text, spaced.has(name));
    }
  });
  const kinds: Set<string>[] = attributes.map(() => new Set());
  for (const [name, rows] of columns) {
    const words = rows.flat();
    const filled = rows.filter((row) => row?.length > 0).length;
    if (words.every((word) => word.trim() !== '' && Number.isFinite(Number(word)))) continue;
    if (new Set(words).size > filled / 2) continue;
    rows.forEach((row, at) => {
      for (const word of row) kinds[at].add(`${name}\u0000${word}`);
    });
  }
  if (kinds.every((own) => own.size === 0)) return null;
  return (a, b) => {
    const [x, y] = [kinds[a], kinds[b]];
    if (x.size === 0 || y.size === 0) return Number.NaN;
    let shared = 0;
    for (const kind of x) if (y.has(kind)) shared++;
    return 1 - shared / (x.size + y.size - shared);
  };
}

/** Half of 1 − cosine of the items' vectors, [V, width]: 0 for the same direction, 1 for opposite ones. */
export function vectorDistance(vectors: ArrayLike<number>, width: number): Distance {
  const norm = (a: number): number => {
    let sum = 0;
    for (let i = a * width; i < (a + 1) * width; i++) sum += vectors[i] * vectors[i];
    return Math.sqrt(sum);
  };
  return (a, b) => {
    let dot = 0;
    for (let i = 0; i < width; i++) dot += vectors[a * width + i] * vectors[b * width + i];
    const length = norm(a) * norm(b);
    return length > 0 ? (1 - dot / length) / 2 : Number.NaN;
  };
}
