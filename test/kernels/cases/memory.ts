import {
  logBlend,
  rankOf,
  rowMoments,
  slice,
  type SparseShard,
  sparseScores,
  type Tensor,
} from '../../../engine/index.ts';
import type { Case } from '../harness.ts';

/** A sparse [rows, v] matrix: row r holds r % 5 entries (none, too), its columns distinct. */
function sparse(rows: number, v: number): { starts: number[]; columns: number[] } {
  const starts = [0];
  const columns: number[] = [];
  for (let r = 0; r < rows; r++) {
    const count = Math.min(v, r % 5 === 4 ? 150 : r % 5);
    for (let i = 0; i < count; i++) columns.push((r * 13 + i) % v);
    starts.push(columns.length);
  }
  return { starts, columns };
}

interface Flaws {
  offsets?: number[];
  longest?: number;
  starts?: number[];
}

/** Scores of `lists` (row numbers; some beyond the matrix) on the columns from … to − 1, with W in shards of rows. */
function scoring(name: string, [v, perShard, from, to]: number[], lists: number[][], flaws?: Flaws): Case {
  const shards: { first: number; rows: number; starts: number[]; columns: number[] }[] = [];
  for (let first = 0; first < v; first += perShard) {
    const rows = Math.min(perShard, v - first);
    shards.push({ first, rows, ...sparse(rows, v) });
  }
  const u32 = (values: number[]) => ({
    shape: [values.length],
    dtype: 'u32' as const,
    value: (i: number) => values[i],
  });
  const inputs: Case['inputs'] = {
    offsets: u32(flaws?.offsets ?? [0, ...lists.map((_, u) => lists.slice(0, u + 1).flat().length)]),
    items: u32([...lists.flat(), 0]),
    weights: { shape: [lists.flat().length + 1], grad: false },
    ...(flaws && { targets: u32(lists.map(() => 0)) }),
  };
  shards.forEach(({ starts, columns }, i) => {
    inputs[`starts${i}`] = u32(flaws?.starts ?? starts);
    inputs[`columns${i}`] = u32(columns.length > 0 ? columns : [0]);
    inputs[`values${i}`] = { shape: [Math.max(1, columns.length)], grad: false };
  });
  return {
    op: 'sparse-scores',
    name,
    inputs,
    run: (t) => {
      const on = shards.map(
        ({ first, rows }, i): SparseShard => ({
          first,
          rows,
          starts: t[`starts${i}`],
          columns: t[`columns${i}`],
          values: t[`values${i}`],
        }),
      );
      const longest = flaws?.longest ?? Math.max(0, ...lists.map((list) => list.length));
      const all = { offsets: t.offsets, items: t.items, weights: t.weights, longest };
      const scores = sparseScores(on, all, from, to);
      return flaws ? rankOf(scores, t.targets) : scores;
    },
    gradients: false,
  };
}

const many = (n: number, v: number): number[] => Array.from({ length: n }, (_, i) => (i * 7 + 4) % v);

export const memoryCases: Case[] = [
  scoring('one item', [1, 1, 0, 1], [[0], []]),
  scoring('lists of 0 to 50 rows, one row many times', [333, 333, 0, 333], [[], many(50, 333), [4, 4, 4, 4], [332]]),
  scoring('some columns, rows in three shards', [300, 128, 64, 201], [many(33, 300), [299, 0, 129], []]),
  // What is out of range gives its user NaN, which rankOf gives as 0, and nobody else.
  scoring(
    'a list longer than said',
    [9, 9, 0, 9],
    [
      [1, 2, 3],
      [4, 8],
    ],
    { longest: 2 },
  ),
  scoring('a list beyond the capacity', [9, 9, 0, 9], [[1, 2], [3], [4]], { offsets: [0, 2, 3, 6], longest: 4 }),
  scoring('offsets that decrease', [9, 9, 0, 9], [[1, 2], [3], [4]], { offsets: [0, 3, 2, 4] }),
  scoring('starts beyond the entries', [4, 4, 0, 4], [[1], [3], [2]], { starts: [0, 0, 1, 3, 60] }),
  scoring('starts that decrease', [4, 4, 0, 4], [[1], [2], [3]], { starts: [0, 0, 3, 1, 2] }),
  scoring(
    'many users',
    [65, 65, 0, 65],
    Array.from({ length: 70 }, (_, u) => many(u % 9, 65)),
  ),
  ...[
    { v: 1, width: 1, keep: false },
    { v: 33, width: 33, keep: false },
    { v: 257, width: 100, keep: false },
    { v: 257, width: 257, keep: true },
  ].map(
    ({ v, width, keep }): Case => ({
      op: 'sparse-scores',
      name: `blend [3,${v}], moments by ${width} columns${keep ? ', in the scale of the scores' : ''}`,
      inputs: {
        scores: { shape: [3, v], grad: false, value: (i, n) => (i < v ? 1000 + n() : i < 2 * v ? 5 : 1e-3 * n()) },
        more: { shape: [3, v], grad: false, value: (i, n) => (i % 4 === 0 ? 0 : n()) },
        weights: { shape: [2], grad: false, value: (i) => [0.6, 1e-3][i] },
      },
      run: ({ scores, more, weights }: Record<string, Tensor>) => {
        let moments: Tensor | null = null;
        for (let from = 0; from < v; from += width)
          moments = rowMoments(slice(scores, 1, from, Math.min(v, from + width)), moments);
        logBlend(scores, more, moments as Tensor, weights, keep);
        return scores;
      },
      gradients: false,
      tolerance: { abs: 1e-4, rel: 1e-4 },
    }),
  ),
  // A blend with what is not finite makes the whole row's ranks 0: comparisons and max must not hide it.
  ...[Number.NaN, Number.POSITIVE_INFINITY].flatMap((broken) =>
    (['scores', 'more'] as const).map(
      (where): Case => ({
        op: 'sparse-scores',
        name: `blend [2,5], ${broken} in ${where}`,
        inputs: {
          scores: { shape: [2, 5], grad: false, value: (i, n) => (where === 'scores' && i === 7 ? broken : n()) },
          more: { shape: [2, 5], grad: false, value: (i, n) => (where === 'more' && i === 7 ? broken : n()) },
          weights: { shape: [2], grad: false, value: (i) => [0.6, 1e-3][i] },
          targets: { shape: [2], dtype: 'u32', value: () => 0 },
        },
        run: ({ scores, more, weights, targets }: Record<string, Tensor>) => {
          logBlend(scores, more, rowMoments(scores), weights);
          return rankOf(scores, targets);
        },
        gradients: false,
        tolerance: { abs: 0, rel: 0 },
      }),
    ),
  ),
];
