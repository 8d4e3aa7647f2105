/**
 * Tables [V, D] that may be larger than one binding: such a table lies in shards, row ranges that are tensors of their
 * own. Ops that read tables by rows (`embedding`, `crossEntropy`, `tableScores`) take either kind and make one dispatch
 * a shard; rows keep their numbers in the whole table.
 */
import type { Device } from './device.ts';
import { type Shape, showShape, type Tensor } from './tensor.ts';

/** Rows [first, first + rows) of a table, as a tensor [rows, D]. */
export interface TableShard {
  readonly tensor: Tensor;
  readonly first: number;
  readonly rows: number;
}

/** Shards start at multiples of this many rows, so that views of them and of scores by column are aligned. */
export const SHARD_ROWS = 64;

export class ShardedTable {
  readonly device: Device;
  /** In the order of their rows, without gaps. */
  readonly shards: readonly TableShard[];
  readonly shape: Shape;
  readonly label: string;

  /** @param tensors [rows, D] each, of one device, every one but the last with a multiple of `SHARD_ROWS` rows */
  constructor(tensors: readonly Tensor[], label: string) {
    const width = tensors[0]?.shape[1];
    let first = 0;
    this.shards = tensors.map((tensor, i) => {
      const [rows] = tensor.shape;
      if (tensor.rank !== 2 || tensor.shape[1] !== width || (i < tensors.length - 1 && rows % SHARD_ROWS !== 0)) {
        throw new Error(
          `${label}: expected shards [rows,${width}] with a multiple of ${SHARD_ROWS} rows, got ${showShape(tensor.shape)}`,
        );
      }
      const shard = { tensor, first, rows };
      first += rows;
      return shard;
    });
    if (width === undefined) throw new Error(`${label}: expected at least one shard, got none`);
    this.device = tensors[0].device;
    this.shape = [first, width];
    this.label = label;
  }

  get rank(): number {
    return 2;
  }

  get requiresGrad(): boolean {
    return this.shards.some(({ tensor }) => tensor.requiresGrad);
  }
}

/** [V, D], whole or in shards. */
export type Table = Tensor | ShardedTable;

/** The shards of a table; a tensor is its own only one. */
export function shardsOf(table: Table): readonly TableShard[] {
  return table instanceof ShardedTable ? table.shards : [{ tensor: table, first: 0, rows: table.shape[0] }];
}

/** A block of a table's rows that lies within one shard. */
export interface TableBlock {
  /** The shard's tensor, and the block's first row in it. */
  readonly shard: Tensor;
  readonly at: number;
  /** The block's first row in the whole table. */
  readonly first: number;
  readonly rows: number;
}

/** The table in blocks of at most `most` rows, a multiple of `SHARD_ROWS` unless the whole table is one block. */
export function blocksOf(table: Table, most: number): TableBlock[] {
  return shardsOf(table).flatMap(({ tensor, first, rows }) =>
    Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
      const at = i * most;
      return { shard: tensor, at, first: first + at, rows: Math.min(most, rows - at) };
    }),
  );
}
