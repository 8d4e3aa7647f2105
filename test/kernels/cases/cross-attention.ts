/** Cross-attention: segments whose numbers of queries and of keys differ. */
import { crossAttention, crossBounds, gelu } from '../../../engine/index.ts';
import { ATTENTION_VARIANTS } from './attention.ts';
import type { Case } from '../harness.ts';

interface Spec {
  name: string;
  /** Queries and keys of each segment, and unused rows after them. */
  queries: number[];
  keys: number[];
  tail?: [number, number];
  heads: number;
  k: number;
  dropout?: number;
  /** The inputs are no leaves, so that the first gradient overwrites; they are used twice, so that the second adds. */
  twice?: boolean;
  /** Which of the two have a gradient; both by default. */
  only?: 'q' | 'kv';
}

const offsets = (lengths: number[]): number[] => {
  let at = 0;
  return [0, ...lengths.map((n) => (at += n))];
};

export function crossCase({ name, queries, keys, tail = [0, 0], heads, k, dropout, twice, only }: Spec): Case {
  const [q, kv] = [offsets(queries), offsets(keys)];
  const l = q[queries.length] + tail[0];
  const m = kv[keys.length] + tail[1];
  const bounds = crossBounds(q, kv, l, m);
  return {
    op: 'cross-attention',
    name: `${name}, H${heads} K${k}`,
    inputs: {
      q: { shape: [l, heads * k], grad: only !== 'kv' },
      kv: { shape: [m, 2 * heads * k], grad: only !== 'q' },
      start: { shape: [l], dtype: 'u32', value: (i) => bounds.start[i] },
      end: { shape: [l], dtype: 'u32', value: (i) => bounds.end[i] },
      from: { shape: [m], dtype: 'u32', value: (i) => bounds.from[i] },
      to: { shape: [m], dtype: 'u32', value: (i) => bounds.to[i] },
    },
    run: ({ q, kv, start, end, from, to }) => {
      const where = { start, end, from, to };
      if (!twice) return crossAttention(q, kv, where, { heads, dropout });
      const [a, b] = [gelu(q), gelu(kv)];
      return [crossAttention(a, b, where, { heads, dropout }), crossAttention(a, b, where, { heads, dropout })];
    },
    tolerance: { abs: 1e-5, rel: 1e-4 },
    variants: ATTENTION_VARIANTS,
  };
}

export const crossAttentionCases: Case[] = [
  { name: 'one query, one key', queries: [1], keys: [1], heads: 1, k: 32 },
  { name: 'more queries than keys', queries: [33, 7], keys: [2, 5], heads: 2, k: 32 },
  { name: 'more keys than queries', queries: [3, 1, 9], keys: [40, 64, 17], heads: 1, k: 32 },
  { name: 'a small width', queries: [5, 6], keys: [9, 3], tail: [2, 1], heads: 2, k: 4 },
  { name: 'wide heads', queries: [17], keys: [33], tail: [3, 0], heads: 1, k: 64 },
  {
    name: 'segments without keys or queries',
    queries: [4, 6, 0, 3],
    keys: [7, 0, 5, 2],
    tail: [3, 6],
    heads: 2,
    k: 32,
  },
  { name: 'segments without keys or queries', queries: [0, 4, 6], keys: [3, 0, 11], tail: [70, 0], heads: 1, k: 12 },
  { name: 'longer than a few tiles', queries: [70, 5, 90], keys: [9, 130, 71], tail: [3, 40], heads: 1, k: 32 },
  { name: 'no key', queries: [3], keys: [0], heads: 1, k: 32 },
  { name: 'no query', queries: [0], keys: [3], heads: 1, k: 32 },
  { name: 'dropout 0.3', queries: [7, 30], keys: [33, 4], tail: [3, 1], heads: 2, k: 32, dropout: 0.3 },
  { name: 'dropout 0.3 of a small width', queries: [7], keys: [19], heads: 1, k: 12, dropout: 0.3 },
  { name: 'used twice, no leaves', queries: [3, 9], keys: [5, 2], tail: [2, 2], heads: 1, k: 32, twice: true },
  { name: 'a gradient for q alone', queries: [9], keys: [5], heads: 1, k: 32, only: 'q' as const },
  { name: 'a gradient for kv alone', queries: [9], keys: [5], heads: 1, k: 32, only: 'kv' as const },
].map((spec) => crossCase(spec as Spec));
