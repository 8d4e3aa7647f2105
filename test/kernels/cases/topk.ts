import { maskSeen, rankOf, rankTiles, slice, tableScores, topk } from '../../../engine/index.ts';
import { type Case, type InputSpec, sharded } from '../harness.ts';

/** The k best, the ranks and the k best without targets of one matrix of scores, all exact. */
function ranking(
  name: string,
  rows: number,
  v: number,
  k: number,
  value?: InputSpec['value'],
  target = (r: number): number => (r * 7) % v,
): Case {
  return {
    op: 'topk',
    name: `[${rows},${v}] k ${k}, ${name}`,
    inputs: {
      scores: { shape: [rows, v], grad: false, value },
      targets: { shape: [rows], dtype: 'u32', value: target },
    },
    run: ({ scores, targets }) => {
      const best = topk(scores, k, { targets });
      const plain = topk(scores, k);
      return [best.values, best.indices, plain.values, plain.indices, rankOf(scores, targets)];
    },
    gradients: false,
    tolerance: { abs: 0, rel: 0 },
  };
}

const normal = (_: number, n: () => number): number => n();
const odd = [0, -0, 1e-40, -1e-40, 3e38, -2.9999998e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, -1];

export const topkCases: Case[] = [
  ranking('one item', 3, 1, 1, normal),
  ranking('fewer items than k', 2, 5, 10, normal),
  ranking('normal', 5, 33, 10, normal),
  ranking('normal, many rows', 65, 1025, 100, normal),
  ranking('all equal', 3, 1000, 128, () => 2),
  ranking('many ties', 9, 3416, 100, (i) => ((i * 31) % 40) / 8),
  ranking(
    'few above many ties',
    4,
    300,
    20,
    (i) => (i % 50 === 3 ? 1 : 0),
    (r) => 300 - 3 * r - 3,
  ),
  ranking('rising, the worst for filters', 2, 5000, 128, (i) => i),
  ranking('a large catalog', 1, 50_000, 100, normal),
  ranking('cut into parts', 2, 50_001, 100, normal),
  ranking('cut into parts, ties across them', 2, 40_003, 128, (i) => ((i * 31) % 97 === 0 ? 1 : 0)),
  ranking('cut into parts, masked, fewer left than k', 1, 40_000, 128, (i, n) => (i % 997 === 0 ? n() : -3e38)),
  ranking('masked, fewer left than k', 4, 40, 30, (i, n) => (i % 3 === 0 ? n() : -3e38)),
  ranking('everything masked', 2, 10, 3, () => -3e38),
  ranking(
    'zeros of both signs, infinities',
    4,
    10,
    10,
    (i) => odd[i % 10],
    (r) => r,
  ),
  ranking('zeros of both signs', 4, 10, 10, (i) => odd[i % 6]),
  ranking('one infinite score in a row', 3, 20, 5, (i, n) => (i === 25 ? Number.NEGATIVE_INFINITY : n())),
  ranking('no target', 3, 20, 5, normal, () => 0xffffffff),
  ranking('no rows', 0, 20, 5, normal),
  ranking('NaN is no hit', 3, 20, 5, (i, n) => (i === 25 ? Number.NaN : n())),
];

const lists = { offsets: [0, 3, 3, 5, 5], items: [1, 9, 2, 0, 77, 4, 4, 4] };
topkCases.push({
  op: 'topk',
  name: 'seen items are masked',
  inputs: {
    scores: { shape: [4, 10], grad: false },
    offsets: { shape: [5], dtype: 'u32', value: (i) => lists.offsets[i] },
    items: { shape: [8], dtype: 'u32', value: (i) => lists.items[i] },
    targets: { shape: [4], dtype: 'u32', value: (r) => [9, 9, 1, 2][r] },
  },
  run: ({ scores, offsets, items, targets }) => {
    maskSeen(scores, { offsets, items });
    const { values, indices } = topk(scores, 10);
    return [scores, values, indices, rankOf(scores, targets)];
  },
  gradients: false,
  tolerance: { abs: 0, rel: 0 },
});

/** Ranks and the k best by tiles of columns; the test below holds the same against the whole. */
export function tiled(
  name: string,
  [rows, v, width, k]: number[],
  value?: InputSpec['value'],
  target: (r: number) => number = (r) => (r * 7) % v,
): Case {
  return {
    op: 'rank-tiles',
    name: `[${rows},${v}] by ${width}, k ${k}, ${name}`,
    inputs: {
      scores: { shape: [rows, v], grad: false, value },
      targets: { shape: [rows], dtype: 'u32', value: target },
    },
    run: ({ scores, targets }) => {
      const { ranks, values, indices } = rankTiles((from, to) => slice(scores, 1, from, to), v, width, targets, k);
      return [ranks, values, indices];
    },
    gradients: false,
    tolerance: { abs: 0, rel: 0 },
  };
}

export const tiledCases: Case[] = [
  tiled('one tile', [3, 40, 64, 10], normal),
  tiled('normal', [5, 1000, 192, 100], normal),
  tiled('ties across tiles', [9, 700, 64, 100], (i) => ((i * 31) % 40) / 8),
  tiled('all equal', [3, 300, 64, 128], () => 2),
  tiled('masked, fewer left than k', [4, 200, 64, 90], (i, n) => (i % 3 === 0 ? n() : -3e38)),
  tiled('everything masked', [2, 100, 64, 3], () => -3e38),
  tiled('zeros of both signs, infinities', [4, 200, 64, 20], (i) => odd[i % 10]),
  tiled('zeros of both signs', [4, 200, 64, 20], (i) => odd[i % 6]),
  tiled('one infinite score in a row', [3, 200, 64, 5], (i, n) => (i === 350 ? Number.NEGATIVE_INFINITY : n())),
  tiled('no target', [3, 200, 64, 5], normal, () => 0xffffffff),
  tiled('NaN is no hit', [3, 200, 64, 5], (i, n) => (i === 350 ? Number.NaN : n())),
];

const scoring = (name: string, [r, v, d, rows, from, to]: number[]): Case => ({
  op: 'table-scores',
  name: `[${r},${d}] · [${v},${d}]ᵀ, ${name}`,
  inputs: { states: { shape: [r, d], grad: false }, table: { shape: [v, d], grad: false } },
  run: ({ states, table }) => tableScores(states, rows < v ? sharded(table, rows) : table, from, to),
  gradients: false,
});

topkCases.push(
  ...tiledCases,
  scoring('whole', [5, 33, 8, 33, 0, 33]),
  scoring('columns of the whole', [5, 200, 8, 200, 64, 190]),
  scoring('three shards', [17, 300, 16, 128, 0, 300]),
  scoring('columns over shards', [5, 333, 8, 64, 64, 320]),
  scoring('columns within a shard', [5, 300, 8, 128, 192, 200]),
);
