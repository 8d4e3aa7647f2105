import {
  embedding,
  embeddingSum,
  normalizeTable,
  packRows,
  PackedTable,
  SHARD_ROWS,
  TABLE_FORMATS,
  type TableFormat,
  tableRows,
  tableScores,
  type Tensor,
} from '../../../engine/index.ts';
import { type Case, type InputSpec, random } from '../harness.ts';

/** A compressed table of normal numbers, as inputs `words` and `scales`; row 2 is one of zeros. */
function packed(v: number, d: number, format: TableFormat): { words: InputSpec; scales: InputSpec } {
  const { normal } = random(v + d);
  const values = Float32Array.from({ length: v * d }, (_, i) => (Math.floor(i / d) === 2 ? 0 : normal()));
  const { words, scales } = packRows(values, d, format);
  return {
    words: { shape: [words.length], dtype: 'u32', value: (i) => words[i] },
    scales: { shape: [v], grad: false, value: (i) => scales[i] },
  };
}

/** The table of these inputs, in shards of so many rows. */
function tableOf({ words, scales }: Record<string, Tensor>, d: number, format: TableFormat, most: number): PackedTable {
  const [v] = scales.shape;
  const { bits } = TABLE_FORMATS[format];
  const { device } = words;
  const shards = Array.from({ length: Math.ceil(v / most) }, (_, i) => {
    const first = i * most;
    const rows = Math.min(most, v - first);
    const at = (first * d * bits) / 32;
    return {
      words: device.view(words, at, [Math.ceil((rows * d * bits) / 32)], 'u32', 'words'),
      scales: scales.rows(first, first + rows),
      first,
      rows,
    };
  });
  return new PackedTable(format, d, shards, 'table');
}

const id = (i: number): number => (i % 5 === 0 ? 500 + i : (i * 37) % 140);

/** Every format reads a table whole and in shards: rows by ID and by range, scores, rows at length one. */
export const packedCases: Case[] = (Object.keys(TABLE_FORMATS) as TableFormat[]).flatMap((format) =>
  [
    { d: 64, v: 140, most: 192 },
    { d: 20, v: 140, most: 2 * SHARD_ROWS },
    { d: 4, v: 3, most: SHARD_ROWS },
  ].flatMap(({ d, v, most }): Case[] => {
    const [from, to] = v > SHARD_ROWS ? [SHARD_ROWS, v - 20] : [0, v];
    const name = `${format} [${v},${d}] in shards of ${most}`;
    const inputs = packed(v, d, format);
    const table = (t: Record<string, Tensor>) => tableOf(t, d, format, most);
    const scoring = (what: string, r: number, scores: Case['run']): Case => ({
      op: 'packed-scores',
      name: `${name}, ${what}`,
      inputs: { states: { shape: [r, d], grad: false }, ...inputs },
      run: scores,
      gradients: false,
      tolerance: { abs: 1e-5, rel: 1e-5 },
    });
    return [
      {
        op: 'packed-rows',
        name,
        inputs: { ids: { shape: [70], dtype: 'u32', value: id }, positions: { shape: [7, d], grad: false }, ...inputs },
        run: ({ ids, positions, ...t }) => [
          embedding(table(t), ids),
          embedding(table(t), ids, undefined, 10),
          embeddingSum(table(t), ids, undefined, positions, ids, undefined),
          tableRows(table(t), from, to - 1),
        ],
        gradients: false,
        tolerance: { abs: 1e-6, rel: 1e-6 },
      },
      scoring('13 states', 13, ({ states, ...t }) => tableScores(states, table(t))),
      scoring('one state, some rows', 1, ({ states, ...t }) => tableScores(states, table(t), from, to)),
      {
        ...scoring('at length one', 3, ({ states, ...t }) => tableScores(states, normalizeTable(table(t)))),
        op: 'packed-norms',
      },
    ];
  }),
);
