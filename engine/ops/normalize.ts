/** Rows at length one (L2), so that their dot products are cosines. */
import { gradOf, into } from '../autograd.ts';
import { groups, type Kernel, kernel } from '../kernel.ts';
import { CodedTable, PackedTable, ShardedTable, shardsOf, type Table } from '../table.ts';
import type { Tensor } from '../tensor.ts';
import { codedNorms } from './coded-scores.ts';
import { packedNorms } from './packed-norms.ts';
import { normalizeBackward, normalizeForward } from './normalize.ref.ts';
import { asMatrix, expectType, expectWidth4 } from './shared/check.ts';
import { lanes } from './shared/lanes.ts';

const byRow = (file: string): Kernel =>
  kernel(file, [
    { file, grid: (p) => groups(p.r, 64 / lanes(p.d / 4)), constants: (p) => ({ LANES: lanes(p.d / 4) }) },
  ]);
const FORWARD = byRow('normalize_fwd');
const BACKWARD = byRow('normalize_bwd');

/** x / √(Σ_d x² + 1e-12) for each row of x [.., D]; a row of zeros stays zero. D must divide by 4. */
export function normalize(x: Tensor): Tensor {
  const { device } = x;
  expectType('normalize', 'x', x);
  expectWidth4('normalize', 'x', x);
  const { rows, cols } = asMatrix(x);
  const y = device.empty(x.shape, 'f32', 'normalize');
  const r = device.empty([rows], 'f32', 'inverse norms');
  device.run(FORWARD, normalizeForward, { x, r, y }, { r: rows, d: cols });
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, normalizeBackward, { y, r, dy: gradOf(y), dx }, { r: rows, d: cols, acc });
  });
  return y;
}

/** A table's rows at length one, in shards or compressed where the table is. */
export function normalizeTable(table: Table): Table {
  if (table instanceof CodedTable) return codedNorms(table);
  if (table instanceof PackedTable) return packedNorms(table);
  if (!(table instanceof ShardedTable)) return normalize(table);
  return new ShardedTable(
    shardsOf(table).map(({ tensor }) => normalize(tensor)),
    `${table.label} at length one`,
  );
}
