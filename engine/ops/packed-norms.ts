/** A compressed table's rows at length one (L2): the same numbers with other scales. No gradient. */
import { groups, kernel } from '../kernel.ts';
import { TABLE_FORMATS } from '../packed.ts';
import type { PackedTable } from '../table.ts';
import { packedNormsReference } from './packed-norms.ref.ts';
import { bitsConstant } from './shared/packed.ts';

const NORMS = kernel('packed_norms', [{ file: 'packed_norms', grid: (p) => groups(p.v, 64), constants: bitsConstant }]);

/** x / √(Σ_d x² + 1e-12) for each row x of a compressed table; a row of zeros stays zero. */
export function packedNorms(table: PackedTable): PackedTable {
  const { device, format } = table;
  const { bits } = TABLE_FORMATS[format];
  const scales = table.shards.map((shard) => {
    const y = device.empty(shard.scales.shape, 'f32', 'scales');
    const tensors = { words: shard.words, scales: shard.scales, y };
    device.run(NORMS, packedNormsReference, tensors, { v: shard.rows, d: table.shape[1], bits });
    return y;
  });
  return table.scaled(scales);
}
