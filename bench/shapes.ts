/** Shapes of the bench's cases: a batch as the recipe trains it on MovieLens 1M. */
import type { Bounds } from '../engine/index.ts';
import type { Stock } from './case.ts';

/** Tokens. */
export const L = 6400;
/** Model width. */
export const D = 64;
/** Feed-forward width. */
export const F = 256;
/** Items. */
export const V = 3416;
/** Length of a sequence. */
export const T = 200;

/** Item numbers, spread over the catalog. */
export const ids = (n: number): Uint32Array => Uint32Array.from({ length: n }, (_, i) => (i * 7919) % V);

/** Sequences of T tokens laid end to end. */
export function sequences(stock: Stock, rows: number): Bounds {
  const start = Uint32Array.from({ length: rows }, (_, i) => Math.floor(i / T) * T);
  return { start: stock.of(start), end: stock.of(start.map((s) => Math.min(rows, s + T))) };
}
