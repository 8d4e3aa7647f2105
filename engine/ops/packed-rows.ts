/** Rows of a compressed table as f32: those that a list names, or a range. No gradient. */
import { groups, kernel } from '../kernel.ts';
import { TABLE_FORMATS } from '../packed.ts';
import { CodedTable, isCompressed, type PackedTable, shardsOf, type Table } from '../table.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { codedRows } from './coded-rows.ts';
import { packedRowsReference } from './packed-rows.ref.ts';
import { lanes } from './shared/lanes.ts';
import { bitsConstant } from './shared/packed.ts';

const ROWS = kernel('packed_rows', [
  {
    file: 'packed_rows',
    grid: (p) => groups(p.rows, 64 / lanes(p.d / 4)),
    constants: (p) => ({ ...bitsConstant(p), LANES: lanes(p.d / 4) }),
  },
]);

/** Compressed [V, D], ids u32 [...] → [..., D]. An id − `from` that is no row gives zeros. */
export function packedRows(table: PackedTable | CodedTable, ids: Tensor, from = 0): Tensor {
  if (ids.dtype !== 'u32') throw new Error(`embedding: expected u32 ids, got ${ids.dtype} ${showShape(ids.shape)}`);
  const x = table.device.empty([...ids.shape, table.shape[1]], 'f32', 'embedding');
  lookup(table, ids, from, x);
  return x;
}

/** Rows [from, to) of a table, within one shard and from a multiple of 64: a view, or of a compressed table a copy in f32. */
export function tableRows(table: Table, from: number, to: number): Tensor {
  if (isCompressed(table)) return packedRange(table, from, to);
  const shard = shardsOf(table).find(({ first, rows }) => from >= first && to <= first + rows);
  if (!shard) throw new Error(`tableRows: rows ${from} to ${to} do not lie in one shard of ${table.label}`);
  return shard.tensor.rows(from - shard.first, to - shard.first);
}

/** Rows [from, to) of a compressed table. */
export function packedRange(table: PackedTable | CodedTable, from: number, to: number): Tensor {
  const x = table.device.empty([to - from, table.shape[1]], 'f32', `rows of ${table.label}`);
  lookup(table, null, from, x);
  return x;
}

/** Rows of `ids` less `from`, or without ids those from `from` on. */
function lookup(table: PackedTable | CodedTable, ids: Tensor | null, from: number, x: Tensor): void {
  if (table instanceof CodedTable) return codedRows(table, ids, from, x);
  const [, d] = table.shape;
  const end = from + x.size / d;
  const shards = ids ? table.shards : table.shards.filter(({ first, rows }) => first < end && from < first + rows);
  // The first shard writes every row, further ones those whose id is theirs.
  for (const [i, { words, scales, first, rows: v }] of shards.entries()) {
    table.device.run(
      ROWS,
      packedRowsReference,
      { words, scales, ids, x },
      {
        rows: x.size / d,
        d,
        v,
        first: first + (ids ? from : 0),
        only: i > 0 ? 1 : 0,
        listed: ids ? 1 : 0,
        from_row: from,
        bits: TABLE_FORMATS[table.format].bits,
      },
    );
  }
}
