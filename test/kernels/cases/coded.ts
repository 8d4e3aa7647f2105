import {
  CodedTable,
  CODES,
  embedding,
  embeddingSum,
  normalizeTable,
  tableRows,
  tableScores,
  type Tensor,
} from '../../../engine/index.ts';
import type { Case, InputSpec } from '../harness.ts';

const V = 200;
/** Codes that differ from part to part, four to a word. */
const code = (i: number): number => (i * 151 + (i >> 3) * 7) % CODES;
const word = (i: number): number =>
  (code(4 * i) | (code(4 * i + 1) << 8) | (code(4 * i + 2) << 16) | (code(4 * i + 3) << 24)) >>> 0;
const id = (i: number): number => (i % 5 === 0 ? 500 + i : (i * 37) % V);

/** Tables of codes, of two and more numbers to a part: rows by ID and by range, scores, rows at length one. */
export const codedCases: Case[] = [
  { d: 32, each: 8 },
  { d: 64, each: 4 },
  { d: 48, each: 12 },
].flatMap(({ d, each }): Case[] => {
  const name = `[${V},${d}] of ${each} codes`;
  const inputs: Record<string, InputSpec> = {
    codes: { shape: [(V * each) / 4], dtype: 'u32', value: word },
    parts: { shape: [CODES * each, d / each], grad: false },
  };
  const table = ({ codes, parts }: Record<string, Tensor>): CodedTable => new CodedTable(codes, parts, null, 'table');
  const scoring = (what: string, r: number, run: Case['run']): Case => ({
    op: 'coded-scores',
    name: `${name}, ${what}`,
    inputs: { states: { shape: [r, d], grad: false }, ...inputs },
    run,
    gradients: false,
    tolerance: { abs: 1e-5, rel: 1e-5 },
  });
  return [
    {
      op: 'coded-rows',
      name,
      inputs: { ids: { shape: [70], dtype: 'u32', value: id }, positions: { shape: [7, d], grad: false }, ...inputs },
      run: ({ ids, positions, ...t }) => [
        embedding(table(t), ids),
        embedding(table(t), ids, undefined, 10),
        embedding(normalizeTable(table(t)), ids),
        embeddingSum(table(t), ids, undefined, positions, ids, undefined),
        tableRows(table(t), 64, V - 1),
      ],
      gradients: false,
      tolerance: { abs: 1e-6, rel: 1e-5 },
    },
    scoring('13 states', 13, ({ states, ...t }) => tableScores(states, table(t))),
    scoring('one state, some rows', 1, ({ states, ...t }) => tableScores(states, table(t), 64, V - 1)),
    scoring('at length one', 3, ({ states, ...t }) => tableScores(states, normalizeTable(table(t)))),
  ];
});
