/**
 * Scores of a compressed table's rows for inference, without a gradient. For few states a kernel reads the table as it is.
 * On a GPU, for many, one tile of rows at a time is widened for the matrix product: 1 MiB, whatever the table's size.
 * (lavapipe, 100,000 rows of 64 in int8: 1 state takes 32 ms as it is, 170 ms by a product; 64 states 2.8 s and 0.2 s.)
 */
import { groups, kernel } from '../kernel.ts';
import { TABLE_FORMATS } from '../packed.ts';
import { type PackedTable, SHARD_ROWS } from '../table.ts';
import type { Tensor } from '../tensor.ts';
import { packedScoresReference } from './packed-scores.ref.ts';
import { packedRange } from './packed-rows.ts';
import { gemm } from './shared/gemm.ts';
import { bitsConstant } from './shared/packed.ts';

/** Most states for which the table is read as it is, on a GPU. */
const FEW = 4;
/** Numbers of a tile. */
const TILE = 2 ** 18;

/** States for which a thread reads its row of the table once. */
const rowsAtOnce = (r: number): number => Math.min(8, 2 ** Math.ceil(Math.log2(r)));

const SCORES = kernel('packed_scores', [
  {
    file: 'packed_scores',
    grid: (p) => groups(p.n, 64) * groups(p.r, rowsAtOnce(p.r)),
    constants: (p) => ({ ...bitsConstant(p), ROWS: rowsAtOnce(p.r) }),
  },
]);

/**
 * states [R, D] · tableᵀ for the table's rows `from` (a multiple of 64) to `to`, sums in f32: [R, to − from]. `tableScores`
 * checks the arguments.
 */
export function packedScores(states: Tensor, table: PackedTable, from: number, to: number): Tensor {
  const { device } = states;
  const [r, d] = states.shape;
  const cols = to - from;
  const scores = device.empty([r, cols], 'f32', 'scores');
  for (const { words, scales, first, rows } of table.shards) {
    const begin = Math.max(from, first);
    const end = Math.min(to, first + rows);
    if (begin >= end || r === 0) continue;
    const into = (at: number): Tensor => device.view(scores, at - from, [scores.size - (at - from)], 'f32', 'scores');
    if (device.gpu && r > FEW) {
      const most = Math.max(SHARD_ROWS, Math.floor(TILE / d / SHARD_ROWS) * SHARD_ROWS);
      for (let at = begin; at < end; at += most) {
        const n = Math.min(most, end - at);
        const b = packedRange(table, at, at + n);
        gemm(device, { a: states, b, c: into(at), m: r, n, k: d, transB: true, ldc: cols, exact: true });
        b.dispose(); // its memory is that of the next one
      }
      continue;
    }
    device.run(
      SCORES,
      packedScoresReference,
      { a: states, words, scales, c: into(begin) },
      { r, n: end - begin, d, row: begin - first, ldc: cols, bits: TABLE_FORMATS[table.format].bits },
    );
  }
  return scores;
}
