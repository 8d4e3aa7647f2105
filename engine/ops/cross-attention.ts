/**
 * Multi-head cross-attention over packed segments (Vaswani et al. 2017, §3.2.3): the queries of segment s attend to the
 * keys of segment s, which may be more, fewer or none. Fused, with the kernels of `attention`.
 */
import { showShape, type Tensor } from '../tensor.ts';
import { crossAttentionReferences } from './cross-attention.ref.ts';
import { attend, checkBounds, checkHeads } from './shared/attend.ts';
import { expectType } from './shared/check.ts';

export interface CrossAttentionOptions {
  /** Heads H; the head width K = D / H must be a multiple of 4, at most 128. */
  heads: number;
  /** Probability of dropping an attention weight, as in `attention`; 0 by default. */
  dropout?: number;
}

/** Which segment a query and a key belong to, u32 each; unused queries and keys come last, with an empty range. */
export interface CrossBounds {
  /** The keys [start, end) of each query, [L]. */
  start: Tensor;
  end: Tensor;
  /** The queries [from, to) of each key, [M]. */
  from: Tensor;
  to: Tensor;
}

/**
 * softmax(Q Kᵀ / √K) V for each head: `q` [L, D], each row H heads of K contiguous columns; `kv` [M, 2D] holds k and v
 * side by side; the result is [L, D]. Queries without keys give zeros, keys without queries receive none.
 * Segments lie in the same order in q and in kv (`crossBounds` makes the bounds from their offsets).
 *
 * Dropout as in `attention`, with i the query's row and j the key's.
 */
export function crossAttention(q: Tensor, kv: Tensor, bounds: CrossBounds, options: CrossAttentionOptions): Tensor {
  const { heads, dropout = 0 } = options;
  const { start, end, from, to } = bounds;
  const got = `q ${showShape(q.shape)}, kv ${showShape(kv.shape)}`;
  expectType('crossAttention', 'q', q);
  expectType('crossAttention', 'kv', kv);
  if (q.rank !== 2 || kv.rank !== 2 || kv.shape[1] !== 2 * q.shape[1]) {
    throw new Error(`crossAttention: expected q [L, D] and kv [M, 2D], got ${got}`);
  }
  checkHeads('crossAttention', q.shape[1], heads, dropout, Math.max(q.shape[0], kv.shape[0]), got);
  checkBounds('crossAttention', { start, end }, q.shape[0], got);
  checkBounds('crossAttention', { from, to }, kv.shape[0], got);
  return attend('crossAttention', crossAttentionReferences, { ...bounds, q, kv, heads, causal: false, dropout });
}

/**
 * The bounds of segments given by offsets: segment s has the queries [queries[s], queries[s + 1]) and the keys
 * [keys[s], keys[s + 1]). L and M are the capacities; rows from the last offset on are unused.
 */
export function crossBounds(
  queries: ArrayLike<number>,
  keys: ArrayLike<number>,
  l: number,
  m: number,
): Record<keyof CrossBounds, Uint32Array<ArrayBuffer>> {
  const count = queries.length - 1;
  if (keys.length !== queries.length || queries[count] > l || keys[count] > m) {
    throw new Error(
      `crossBounds: expected as many offsets of queries, at most ${l}, as of keys, at most ${m}, got ${queries.length} up to ${queries[count]} and ${keys.length} up to ${keys[keys.length - 1]}`,
    );
  }
  const [start, end, from, to] = [l, l, m, m].map((n) => new Uint32Array(n));
  for (let s = 0; s < count; s++) {
    start.fill(keys[s], queries[s], queries[s + 1]);
    end.fill(keys[s + 1], queries[s], queries[s + 1]);
    from.fill(queries[s], keys[s], keys[s + 1]);
    to.fill(queries[s + 1], keys[s], keys[s + 1]);
  }
  return { start, end, from, to };
}
