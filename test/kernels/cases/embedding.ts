import { embedding, embeddingSum, groupRows } from '../../../engine/index.ts';
import { type Case, type InputSpec, sharded } from '../harness.ts';

const variants = {
  embedding_fwd: ['embedding_fwd', 'embedding_fwd_scalar'],
  embedding_bwd: ['embedding_bwd', 'embedding_bwd_scalar'],
  embedding_bwd_split: ['embedding_bwd_split SIZE=4', 'embedding_bwd_split SIZE=1'],
};

/** The groups of ids made by a rule, as the trainer uploads them. */
export function grouped(l: number, id: (i: number) => number): InputSpec {
  const ids = Uint32Array.from({ length: l }, (_, i) => id(i));
  const { data } = groupRows(ids, l, l);
  return { shape: [data.length], dtype: 'u32', value: (i) => data[i] };
}

const scatter = (v: number) => (i: number) => (i * 7 + Math.floor(i / 3)) % v;
/** Row 2 gets most positions (several segments), row 5 exactly 64, row 6 exactly 65, the rest a few. */
const popular = (i: number): number => (i < 64 ? 5 : i < 129 ? 6 : i % 9 === 0 ? (i % 4) + 7 : 2);

function lookup(name: string, l: number, v: number, d: number, id: (i: number) => number): Case {
  return {
    op: 'embedding',
    name,
    inputs: { table: { shape: [v, d] }, ids: { shape: [l], dtype: 'u32', value: id }, groups: grouped(l, id) },
    run: ({ table, ids, groups }) => embedding(table, ids, groups),
    variants,
  };
}

/** The same without groups: the device looks for the positions of a row itself. */
function scanned(name: string, l: number, v: number, d: number, id: (i: number) => number): Case {
  return {
    op: 'embedding',
    name: `${name}, without groups`,
    inputs: { table: { shape: [v, d] }, ids: { shape: [l], dtype: 'u32', value: id } },
    run: ({ table, ids }) => embedding(table, ids),
  };
}

function sum(name: string, l: number, d: number, dropout: number): Case {
  const pos = (i: number): number => i % 5;
  return {
    op: 'embedding',
    name: `sum: ${name}`,
    inputs: {
      items: { shape: [12, d] },
      ids: { shape: [l], dtype: 'u32', value: popular },
      positions: { shape: [5, d] },
      pos: { shape: [l], dtype: 'u32', value: pos },
      groups: grouped(l, popular),
      posGroups: grouped(l, pos),
    },
    run: ({ items, ids, groups, positions, pos: p, posGroups }) =>
      embeddingSum(items, ids, groups, positions, p, posGroups, dropout),
    variants,
  };
}

/** Two tables that share ids: rows 0 … 9 are the first's, 10 and 11 the second's. */
function shared(l: number, d: number): Case {
  return {
    op: 'embedding',
    name: `two tables share ids, width ${d}`,
    inputs: {
      items: { shape: [10, d] },
      masks: { shape: [2, d] },
      ids: { shape: [l], dtype: 'u32', value: scatter(13) },
      groups: grouped(l, scatter(13)),
    },
    run: ({ items, masks, ids, groups }) => [embedding(items, ids, groups), embedding(masks, ids, groups, 10)],
    variants,
  };
}

export const embeddingCases: Case[] = [
  shared(40, 8),
  shared(300, 5),
  lookup('1 token', 1, 3, 8, () => 1),
  lookup('33 tokens of width 5', 33, 11, 5, scatter(11)),
  lookup('width 1', 65, 4, 1, scatter(4)),
  lookup('width 64', 100, 50, 64, scatter(50)),
  lookup('width 260, more than the lanes of a row', 9, 6, 260, scatter(6)),
  lookup('popular rows are split', 700, 12, 12, popular),
  lookup('one row takes every position', 200, 1, 4, () => 0),
  lookup('ids beyond the table are rows of zeros', 20, 5, 8, (i) => (i % 3 === 0 ? 5 + i : i % 5)),
  { ...lookup('no tokens', 0, 3, 8, () => 0), gradients: false },
  scanned('33 tokens of width 5', 33, 11, 5, scatter(11)),
  scanned('width 260', 70, 6, 260, scatter(6)),
  scanned('popular rows', 700, 12, 12, popular),
  scanned('one row takes every position', 200, 1, 4, () => 0),
  scanned('ids beyond the table', 20, 5, 8, (i) => (i % 3 === 0 ? 5 + i : i % 5)),
  { ...scanned('no tokens', 0, 3, 8, () => 0), gradients: false },
  {
    op: 'embedding',
    name: 'sum: dropout, without groups',
    inputs: {
      items: { shape: [12, 7] },
      ids: { shape: [140], dtype: 'u32', value: popular },
      positions: { shape: [5, 7] },
      pos: { shape: [140], dtype: 'u32', value: (i) => i % 5 },
    },
    run: ({ items, ids, positions, pos }) => embeddingSum(items, ids, undefined, positions, pos, undefined, 0.5),
  },
  sum('without dropout', 33, 8, 0),
  sum('dropout', 210, 16, 0.3),
  sum('dropout, width 7', 140, 7, 0.5),
];

/** Ids of all shards, popular ones in the first and the last, some beyond the table. */
const far = (i: number): number => (i < 70 ? 3 : i < 150 ? 299 : (i * 37) % 310);
for (const d of [8, 4]) {
  embeddingCases.push({
    op: 'embedding',
    name: `three shards of width ${d}`,
    inputs: {
      table: { shape: [300, d] },
      ids: { shape: [400], dtype: 'u32', value: far },
      groups: grouped(400, far),
    },
    leaves: ['table'],
    run: ({ table, ids, groups }) => embedding(sharded(table, 128), ids, groups),
    variants,
  });
}
embeddingCases.push({
  op: 'embedding',
  name: 'three shards, without groups',
  inputs: { table: { shape: [300, 8] }, ids: { shape: [400], dtype: 'u32', value: far } },
  leaves: ['table'],
  run: ({ table, ids }) => embedding(sharded(table, 128), ids),
});
const near = (i: number): number => (i * 29) % 200;
embeddingCases.push({
  op: 'embedding',
  name: 'sum: four shards, dropout',
  inputs: {
    items: { shape: [200, 12], value: (_, normal) => normal() },
    ids: { shape: [70], dtype: 'u32', value: near },
    positions: { shape: [5, 12] },
    pos: { shape: [70], dtype: 'u32', value: (i) => i % 5 },
    groups: grouped(70, near),
    posGroups: grouped(70, (i) => i % 5),
  },
  leaves: ['items'],
  run: ({ items, ids, groups, positions, pos, posGroups }) =>
    embeddingSum(sharded(items, 64), ids, groups, positions, pos, posGroups, 0.4),
  variants,
});
