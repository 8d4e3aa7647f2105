/** Scores of a table's rows, whole, in shards or compressed, for inference: one matrix product a shard. No gradient. */
import { CodedTable, isCompressed, PackedTable, shardsOf, type Table } from '../table.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { codedScores } from './coded-scores.ts';
import { packedScores } from './packed-scores.ts';
import { expectConstants, expectType } from './shared/check.ts';
import { gemm } from './shared/gemm.ts';

/**
 * states [R, D] · tableᵀ for the table's rows `from` (a multiple of 64) to `to`: [R, to − from]; all rows by default.
 * Throws if an input needs a gradient, outside of `noGrad`.
 */
export function tableScores(states: Tensor, table: Table, from = 0, to = table.shape[0]): Tensor {
  const { device } = states;
  const [v, d] = table.shape;
  expectType('tableScores', 'states', states);
  for (const { tensor } of isCompressed(table) ? [] : shardsOf(table)) expectType('tableScores', 'table', tensor);
  if (states.rank !== 2 || table.rank !== 2 || states.shape[1] !== d) {
    throw new Error(
      `tableScores: expected states [R,D] and a table [V,D], got ${showShape(states.shape)} and ${showShape(table.shape)}`,
    );
  }
  if (from % 64 !== 0 || from < 0 || to > v || from > to)
    throw new Error(`tableScores: expected rows within ${v} from a multiple of 64 on, got ${from} to ${to}`);
  expectConstants('tableScores', { states, table }, 'use matmul, or noGrad()');
  if (table instanceof CodedTable) return codedScores(states, table, from, to);
  if (table instanceof PackedTable) return packedScores(states, table, from, to);
  const [r] = states.shape;
  const cols = to - from;
  const scores = device.empty([r, cols], 'f32', 'scores');
  for (const { tensor, first, rows } of shardsOf(table)) {
    const begin = Math.max(from, first);
    const end = Math.min(to, first + rows);
    if (begin >= end || r === 0) continue;
    const b = tensor.rows(begin - first, end - first);
    const c = device.view(scores, begin - from, [scores.size - (begin - from)], 'f32', 'scores');
    gemm(device, { a: states, b, c, m: r, n: end - begin, k: d, transB: true, ldc: cols, exact: true });
  }
  return scores;
}
