/** Attention of one new token a sequence over keys and values that are kept from step to step. No gradients. */
import { groups, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { cachedAttentionReference, storeRowsReference } from './cached-attention.ref.ts';
import { expectConstants, expectType } from './shared/check.ts';

const ATTENTION = kernel('cached_attention', [
  { file: 'cached_attention', grid: (p) => p.rows * p.heads, constants: (p) => ({ K: p.k }) },
]);
const STORE = kernel('store_rows', (p) => groups(p.rows * p.cols, 256));

/** The keys of each query: first the rows [start, end) of kv, which queries may share, then the query's own. */
export interface CachedKeys {
  /** u32 [R] */
  start: Tensor;
  end: Tensor;
  /** u32 [R, C] rows of kv, and how many of them count, u32 [R]. */
  own: Tensor;
  count: Tensor;
}

/**
 * softmax(Q Kᵀ / √K) V for each head: `q` [R, ≥ D], whose first D columns are H heads of K; `kv` [S, 2D] holds k and v side
 * by side; the result is [R, D], zeros for a query without keys, NaN for one with a key that
 * is not below S. Order and number of the keys are data.
 */
export function cachedAttention(q: Tensor, kv: Tensor, keys: CachedKeys, heads: number): Tensor {
  const { device } = q;
  const got = `q ${showShape(q.shape)}, kv ${showShape(kv.shape)}`;
  expectType('cachedAttention', 'q', q);
  expectType('cachedAttention', 'kv', kv);
  const d = kv.shape[1] / 2;
  const k = d / heads;
  if (q.rank !== 2 || kv.rank !== 2 || q.shape[1] < d || q.shape[1] % 4 !== 0)
    throw new Error(`cachedAttention: expected q [R, D] or wider and kv [S, 2D], got ${got}`);
  if (!Number.isInteger(k) || k < 4 || k % 4 !== 0 || k > 128)
    throw new Error(
      `cachedAttention: expected ${heads} heads whose width is a multiple of 4, at most 128, got D = ${d} (${got})`,
    );
  expectConstants('cachedAttention', { q, kv });
  const [rows] = q.shape;
  const { start, end, own, count } = keys;
  for (const [name, t] of Object.entries({ start, end, count })) {
    if (t.dtype !== 'u32' || t.size !== rows)
      throw new Error(
        `cachedAttention: expected ${name} u32 [${rows}] for ${got}, got ${t.dtype} ${showShape(t.shape)}`,
      );
  }
  if (own.dtype !== 'u32' || own.rank !== 2 || own.shape[0] !== rows)
    throw new Error(
      `cachedAttention: expected own u32 [${rows}, C] for ${got}, got ${own.dtype} ${showShape(own.shape)}`,
    );
  const o = device.empty([rows, d], 'f32', 'cached attention');
  const params = {
    rows,
    heads,
    k,
    q_row: q.shape[1] / 4,
    capacity: own.shape[1],
    slots: kv.shape[0],
    scale: 1 / Math.sqrt(k),
  };
  if (rows > 0) device.run(ATTENTION, cachedAttentionReference, { q, kv, start, end, own, count, o }, params);
  return o;
}

/**
 * Writes columns [from, from + C) of each row of x [R, W] into row ids[r] of y [S, C], in place; ids (u32 [R], distinct)
 * of S and beyond are passed over. W, C and `from` are multiples of 4.
 */
export function storeRows(x: Tensor, ids: Tensor, y: Tensor, from = 0): void {
  const [rows, width] = x.shape;
  const [capacity, cols] = y.shape;
  const got = `x ${showShape(x.shape)}, ids ${ids.dtype} ${showShape(ids.shape)}, y ${showShape(y.shape)}, from ${from}`;
  if (x.rank !== 2 || y.rank !== 2 || ids.dtype !== 'u32' || ids.size !== rows || from < 0 || from + cols > width)
    throw new Error(`storeRows: expected x [R, W], ids u32 [R] and y [S, C] with from + C ≤ W, got ${got}`);
  if ([width, cols, from].some((n) => n % 4 !== 0))
    throw new Error(`storeRows: expected multiples of 4 columns, got ${got}`);
  expectType('storeRows', 'x', x);
  expectType('storeRows', 'y', y);
  expectConstants('storeRows', { x, y });
  x.device.inPlace('storeRows', y);
  if (rows === 0) return;
  const params = { rows, cols: cols / 4, x_row: width / 4, from_col: from / 4, capacity };
  x.device.run(STORE, storeRowsReference, { x, ids, y }, params);
}
