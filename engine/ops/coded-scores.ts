/**
 * Scores of a table of codes for inference, without a gradient: each state's part m is multiplied with the 256 rows of part m
 * once, and a row's score is the sum of M of these products, as its codes name them (Petrov & Macdonald 2024, section 4).
 */
import { groups, kernel, type Params } from '../kernel.ts';
import { CODES } from '../packed.ts';
import type { CodedTable } from '../table.ts';
import type { Tensor } from '../tensor.ts';
import { codedScoresReference } from './coded-scores.ref.ts';
import { rowDot } from './row-dot.ts';
import { gemm } from './shared/gemm.ts';

/** Rows of states for which a thread reads its codes once. */
const rowsAtOnce = ({ r }: Params): number => Math.min(8, 2 ** Math.ceil(Math.log2(r)));

const SCORES = kernel('coded_scores', [
  {
    file: 'coded_scores',
    grid: (p) => groups(p.n, 64) * groups(p.r, rowsAtOnce(p)),
    constants: (p) => ({ WORDS: p.each / 4, ROWS: rowsAtOnce(p) }),
  },
]);

/** states [R, D] · tableᵀ for the table's rows `from` to `to`: [R, to − from]. `tableScores` checks the arguments. */
export function codedScores(states: Tensor, table: CodedTable, from: number, to: number): Tensor {
  const { device } = states;
  const { parts, each } = table;
  const [r, d] = states.shape;
  const s = device.empty([r, CODES * each], 'f32', 'scores of parts');
  const [k, ldc] = [d / each, CODES * each];
  const batch = { batch: each, sa: k, sb: CODES * k, sc: CODES };
  gemm(device, { a: states, b: parts, c: s, m: r, n: CODES, k, lda: d, ldc, transB: true, exact: true, ...batch });
  return sums(table, s, from, to);
}

/** The table with its rows at length one. */
export function codedNorms(table: CodedTable): CodedTable {
  const { parts, shape } = table;
  const squares = rowDot(parts, parts).reshape([1, parts.shape[0]]);
  return table.scaled(sums(table.scaled(null), squares, 0, shape[0], 1).reshape([shape[0]]));
}

/** For each row of s [R, 256 M] the sums of the entries that the codes of the table's rows name: [R, to − from]. */
function sums({ codes, scales, each }: CodedTable, s: Tensor, from: number, to: number, norm = 0): Tensor {
  const { device } = s;
  const [r] = s.shape;
  const n = to - from;
  const c = device.empty([r, n], 'f32', 'scores');
  if (r === 0 || n === 0) return c;
  const scaled = scales ? 1 : 0;
  device.run(SCORES, codedScoresReference, { s, codes, scales, c }, { r, n, each, row: from, ldc: n, scaled, norm });
  return c;
}
