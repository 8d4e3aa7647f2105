import { cachedAttention, storeRows } from '../../../engine/index.ts';
import type { Case } from '../harness.ts';

/** Queries that share rows of the cache, and have some of their own in any order. */
function cached(name: string, [rows, heads, k, shared, own]: number[], scale = 1): Case {
  const d = heads * k;
  const capacity = own + 2;
  const size = shared + rows * capacity;
  return {
    op: 'cached-attention',
    name: `R ${rows}, H ${heads}, K ${k}, ${shared} shared and ${own} own keys, ${name}`,
    inputs: {
      q: { shape: [rows, 3 * d], grad: false, value: (_, n) => scale * n() },
      kv: { shape: [size, 2 * d], grad: false, value: (_, n) => scale * n() },
      start: { shape: [rows], dtype: 'u32', value: (r) => Math.floor((r % 3) * (shared / 7)) },
      end: { shape: [rows], dtype: 'u32', value: (r) => (r % 5 === 4 ? 0 : shared) },
      own: {
        shape: [rows, capacity],
        dtype: 'u32',
        value: (i) => shared + ((i % capacity) * rows + Math.floor(i / capacity)),
      },
      count: { shape: [rows], dtype: 'u32', value: (r) => Math.max(0, own - (r % 4)) },
    },
    run: ({ q, kv, start, end, own: mine, count }) => cachedAttention(q, kv, { start, end, own: mine, count }, heads),
    gradients: false,
    tolerance: { abs: 1e-5, rel: 1e-4 },
  };
}

export const cachedCases: Case[] = [
  cached('one key', [1, 1, 4, 0, 1]),
  cached('no keys', [3, 1, 8, 0, 0]),
  cached('odd widths', [5, 2, 12, 33, 3]),
  cached('exactly a tile', [6, 1, 32, 61, 3]),
  cached('two heads, several tiles', [9, 2, 32, 190, 10]),
  cached('wide heads', [2, 1, 128, 70, 5]),
  cached('large magnitudes', [3, 1, 16, 70, 2], 30),
  cached('no rows', [0, 1, 16, 7, 2]),
  {
    op: 'cached-attention',
    name: 'rows are stored where the ids say',
    inputs: {
      x: { shape: [4, 24], grad: false },
      y: { shape: [6, 16], grad: false },
      ids: { shape: [4], dtype: 'u32', value: (r) => [5, 6, 0, 0xffffffff][r] },
    },
    run: ({ x, y, ids }) => {
      storeRows(x, ids, y, 8);
      return y;
    },
    gradients: false,
    tolerance: { abs: 0, rel: 0 },
  },
];
