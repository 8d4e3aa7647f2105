/** The distance of two items, for the diversity of lists: by their attributes, or by a model's item vectors. */
import { attributeKinds } from '../../data/features/kinds.ts';
import type { Distance } from './list-metrics.ts';

/**
 * Jaccard distance of the items' attribute values (data/features/kinds.ts): 1 − shared / all.
 *
 * @param attributes [V] column → text
 * @returns null if no item has an attribute
 */
export function attributeDistance(attributes: readonly Readonly<Record<string, string>>[]): Distance | null {
  const kinds = attributeKinds(attributes);
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
