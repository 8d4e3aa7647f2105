/** Re-ranking of a list: caps by attribute, and diversity. Pure functions of the list. */

/** A candidate of a ranked list, best first. */
export interface Candidate {
  /** Item row. */
  row: number;
  score: number;
}

export interface RerankOptions {
  /** How many to keep. */
  k: number;
  /**
   * 0 (leave the order) to 1 (the least alike): maximal marginal relevance, Carbonell & Goldstein, SIGIR 1998. The next
   * item is the one with the highest (1 − diversity) · relevance − diversity · (highest cosine to those taken);
   * relevance is the score scaled to 0 … 1 over the candidates.
   */
  diversity?: number;
  /** Vector of an item, of length 1, for `diversity`. */
  vectorOf?(row: number): Float32Array;
  /** Most items of a list that may share a value of an attribute; `valuesOf` gives an item's values of each. */
  caps?: readonly { most: number; valuesOf(row: number): readonly string[] }[];
}

/**
 * The k candidates that stay, in their new order. Fewer come out where caps leave no more. Equal choices keep the order
 * that came.
 */
export function rerank(candidates: readonly Candidate[], options: RerankOptions): Candidate[] {
  const { k, diversity = 0, vectorOf, caps = [] } = options;
  if (!(diversity >= 0 && diversity <= 1))
    throw new Error(`rerank: expected a diversity from 0 to 1, got ${diversity}`);
  if (diversity > 0 && !vectorOf) throw new Error('rerank: diversity needs the vectors of the items');
  const counts = caps.map(() => new Map<string, number>());
  const fits = ({ row }: Candidate): boolean =>
    caps.every((cap, i) => cap.valuesOf(row).every((value) => (counts[i].get(value) ?? 0) < cap.most));
  const relevance = scaled(candidates);
  const alike = new Float64Array(candidates.length).fill(-1);
  const left = candidates.map((_, i) => i);
  const taken: Candidate[] = [];
  while (taken.length < k && left.length > 0) {
    let best = -1;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (let at = 0; at < left.length; at++) {
      const i = left[at];
      if (!fits(candidates[i])) continue;
      const value = taken.length === 0 ? relevance[i] : (1 - diversity) * relevance[i] - diversity * alike[i];
      if (value > bestValue) {
        best = at;
        bestValue = value;
      }
    }
    if (best < 0) break;
    const [i] = left.splice(best, 1);
    taken.push(candidates[i]);
    caps.forEach((cap, c) => {
      for (const value of cap.valuesOf(candidates[i].row)) counts[c].set(value, (counts[c].get(value) ?? 0) + 1);
    });
    if (diversity > 0 && vectorOf) {
      const vector = vectorOf(candidates[i].row);
      for (const other of left) alike[other] = Math.max(alike[other], dot(vector, vectorOf(candidates[other].row)));
    }
  }
  return taken;
}

/** Scores from 0 (the lowest) to 1 (the highest). */
function scaled(candidates: readonly Candidate[]): Float64Array {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { score } of candidates) {
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  return Float64Array.from(candidates, ({ score }) => (high > low ? (score - low) / (high - low) : 1));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
