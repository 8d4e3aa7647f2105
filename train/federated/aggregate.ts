/**
 * The mean of clients' updates, with a bound on what the loudest of them can do to a row.
 *
 * Of n updates, k = ⌊trim · n⌋ may be hostile. For each row of each parameter (an item's embedding, say) the norms of the
 * clients' contributions are sorted, and the k largest are cut to the (k + 1)-th: winsorized, not dropped. So k clients move
 * a row no further than k clients with the next largest norm would. A row that at most k clients contribute to hardly moves,
 * whoever they are: that is what it costs, and rows of rare items pay it. The mean over all clients of each coordinate,
 * trimmed (Yin et al., ICML 2018), would cost far more: what most clients do not have, no coordinate of theirs shows.
 */
import type { WeightValues } from './clip.ts';

export type ParameterShapes = ReadonlyMap<string, readonly number[]>;

/** Numbers of a row: a vector is one row. */
export const rowWidth = (shape: readonly number[]): number => Math.max(1, shape.at(-1) ?? 1);

/** How many of n clients are cut. A share of 0.29 of 100 is 29, despite rounding in binary. */
export const clientsCut = (trim: number, n: number): number => Math.floor(trim * n + 1e-9);

/** @param trim share of the clients that may be hostile; 0: the plain mean */
export function aggregate(
  updates: readonly ReadonlyMap<string, Float32Array>[],
  shapes: ParameterShapes,
  trim: number,
): WeightValues {
  const cut = clientsCut(trim, updates.length);
  return new Map(
    Array.from(shapes, ([name, shape]) => {
      const parts = updates.map((update) => update.get(name) as Float32Array);
      return [name, meanOf(parts, rowWidth(shape), cut)];
    }),
  );
}

function meanOf(parts: readonly Float32Array[], columns: number, cut: number): Float32Array {
  const n = parts.length;
  const size = parts[0].length;
  const out = new Float32Array(size);
  const norms = new Float64Array(n);
  const sum = new Float64Array(columns);
  for (let from = 0; from < size; from += columns) {
    if (cut > 0) for (const [i, part] of parts.entries()) norms[i] = rowNorm(part, from, columns);
    const most = cut > 0 ? norms.slice().sort()[n - 1 - cut] : Number.POSITIVE_INFINITY;
    sum.fill(0);
    for (const [i, part] of parts.entries()) {
      const weight = norms[i] > most ? most / norms[i] : 1;
      for (let c = 0; c < columns; c++) sum[c] += weight * part[from + c];
    }
    for (let c = 0; c < columns; c++) out[from + c] = sum[c] / n;
  }
  return out;
}

function rowNorm(values: Float32Array, from: number, columns: number): number {
  let sum = 0;
  for (let c = 0; c < columns; c++) sum += values[from + c] * values[from + c];
  return Math.sqrt(sum);
}
