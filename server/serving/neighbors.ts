/** The items whose vectors point the same way, by cosine. */
import { rowOf } from '../../model/storage/packed-tensor.ts';
import type { StoredTensor } from '../../model/storage/safetensors.ts';
import { LRUCache } from 'lru-cache';

export interface Neighbor {
  row: number;
  /** Cosine, −1 to 1. */
  score: number;
}

export class Neighbors {
  private readonly vectors: StoredTensor | null;
  private readonly count: number;
  private lengths: Float64Array | null = null;
  private readonly cached = new LRUCache<number, Float32Array>({ max: 64 });

  /** @param vectors [V, D]; undefined where the model has none @param count of items */
  constructor(vectors: StoredTensor | undefined, count: number) {
    const usable = vectors?.shape.length === 2 ? vectors : null;
    this.vectors = usable;
    this.count = Math.min(count, usable?.shape[0] ?? 0);
  }

  /** Whether an item has a vector. */
  has(row: number): boolean {
    return row < this.count;
  }

  /** Cosine of a row with every item, [V]; kept for the rows that were asked for last. */
  cosines(row: number): Float32Array {
    const known = this.cached.get(row);
    if (known) return known;
    const { vectors, count } = this;
    if (!vectors || !this.has(row)) throw new Error(`neighbors: item ${row} has no vector`);
    this.lengths ??= Float64Array.from({ length: count }, (_, v) => {
      const x = rowOf(vectors, v);
      return Math.sqrt(dot(x, x));
    });
    const { lengths } = this;
    const own = rowOf(vectors, row);
    const cosines = Float32Array.from({ length: count }, (_, v) => {
      const length = lengths[row] * lengths[v];
      return length > 0 ? dot(own, rowOf(vectors, v)) / length : 0;
    });
    this.cached.set(row, cosines);
    return cosines;
  }

  /** The n nearest, nearest first, without the row itself. */
  nearest(row: number, n: number): Neighbor[] {
    const best: Neighbor[] = [];
    this.cosines(row).forEach((score, v) => {
      if (v === row || (best.length === n && score <= best[n - 1].score)) return;
      const at = best.findIndex((other) => other.score < score);
      best.splice(at < 0 ? best.length : at, 0, { row: v, score });
      if (best.length > n) best.pop();
    });
    return n > 0 ? best : [];
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
