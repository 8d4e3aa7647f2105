/**
 * Tables [V, D] that may be larger than one binding: such a table lies in shards, row ranges that are tensors of their
 * own. Ops that read tables by rows (`embedding`, `crossEntropy`, `tableScores`) take either kind and make one dispatch
 * a shard; rows keep their numbers in the whole table. Those of inference take compressed tables (packed.ts), too.
 */
import { expectType } from './ops/shared/check.ts';
import type { Device } from './device.ts';
import {
  CODES,
  type ItemCodes,
  type PackedRows,
  packedWords,
  type TableFormat,
  unpackRows,
  widenCodes,
} from './packed.ts';
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

/** Rows [first, first + rows) of a compressed table. */
export interface PackedShard {
  /** u32: the numbers, as packed.ts lays them out. */
  readonly words: Tensor;
  /** [rows] */
  readonly scales: Tensor;
  readonly first: number;
  readonly rows: number;
}

/** A compressed table: constants, read as they are by the kernels of kernels/packed/. */
export class PackedTable {
  readonly device: Device;
  readonly format: TableFormat;
  readonly shards: readonly PackedShard[];
  readonly shape: Shape;
  readonly label: string;
  readonly rank = 2;
  readonly requiresGrad = false;

  constructor(format: TableFormat, width: number, shards: readonly PackedShard[], label: string) {
    for (const { words, scales } of shards) {
      expectType('PackedTable', 'words', words, 'u32');
      expectType('PackedTable', 'scales', scales);
    }
    this.device = shards[0].words.device;
    this.format = format;
    this.shards = shards;
    this.shape = [shards.reduce((sum, { rows }) => sum + rows, 0), width];
    this.label = label;
  }

  /** A table on a device until `dispose()`, in as many shards as its bindings ask for. */
  static upload(device: Device, { format, width, words, scales }: PackedRows, label: string): PackedTable {
    if (width % 4 !== 0) throw new Error(`${label}: expected rows of a width that is a multiple of 4, got ${width}`);
    const most = Math.floor((device.maxBindingBytes * 8) / SHARD_ROWS / width / 32) * SHARD_ROWS;
    const v = scales.length;
    const shards: PackedShard[] = [];
    for (let first = 0; first < v || shards.length === 0; first += most) {
      const rows = Math.min(most, v - first);
      const [from, to] = [first, first + rows].map((row) => packedWords(row * width, format));
      // A binding is never empty.
      const upload = <T extends Uint32Array | Float32Array>(data: T, empty: T, what: string): Tensor =>
        device.tensor(data.length > 0 ? data : empty, undefined, { label: `${what} of ${label}` }).keep();
      shards.push({
        words: upload(words.subarray(from, to), new Uint32Array(1), format),
        scales: upload(scales.subarray(first, first + rows), new Float32Array(1), 'scales'),
        first,
        rows,
      });
    }
    return new PackedTable(format, width, shards, label);
  }

  /** The same numbers times other scales, [rows] of each shard. */
  scaled(scales: readonly Tensor[]): PackedTable {
    const shards = this.shards.map((shard, i) => ({ ...shard, scales: scales[i] }));
    return new PackedTable(this.format, this.shape[1], shards, this.label);
  }

  /** Read back, and widened. */
  async data(): Promise<Float32Array> {
    const [v, width] = this.shape;
    const out = new Float32Array(v * width);
    for (const { words, scales, first, rows } of this.shards) {
      const packed = { format: this.format, width, words: await words.data(), scales: await scales.data() };
      out.set(unpackRows(packed as PackedRows, 0, rows), first * width);
    }
    return out;
  }

  dispose(): void {
    for (const { words, scales } of this.shards) for (const t of [words, scales]) t.dispose();
  }
}

/** A table of shared parts (`ItemCodes`), read as it is by the kernels of kernels/coded/. Without a gradient: see coded-rows.ts. */
export class CodedTable {
  readonly device: Device;
  /** u32: the codes [V, M], four to a word. */
  readonly codes: Tensor;
  /** [256 M, D / M]; not freed with the table. */
  readonly parts: Tensor;
  /** [V]: what rows are multiplied by; null: nothing. */
  readonly scales: Tensor | null;
  readonly shape: Shape;
  readonly label: string;
  readonly rank = 2;
  /** M */
  readonly each: number;

  /** @throws Error for codes and parts of another type or shape */
  constructor(codes: Tensor, parts: Tensor, scales: Tensor | null, label: string) {
    const each = parts.shape[0] / CODES;
    const whole = parts.rank === 2 && each > 0 && each % 4 === 0 && parts.shape[1] % 4 === 0;
    if (parts.dtype !== 'f32' || !whole)
      throw new Error(
        `CodedTable: expected parts f32 [${CODES}·M,D/M], M and D/M multiples of 4, got ${parts.dtype} ${showShape(parts.shape)} (${label})`,
      );
    if (codes.dtype !== 'u32' || (4 * codes.size) % each !== 0)
      throw new Error(
        `CodedTable: expected codes u32 [V·M/4] with M = ${each}, got ${codes.dtype} ${showShape(codes.shape)} (${label})`,
      );
    this.device = codes.device;
    this.codes = codes;
    this.parts = parts;
    this.scales = scales;
    this.each = each;
    this.shape = [(4 * codes.size) / each, each * parts.shape[1]];
    this.label = label;
  }

  /** Its codes on a device until `dispose()`. @throws Error where one binding does not hold them */
  static upload(device: Device, { codes }: ItemCodes, parts: Tensor, label: string): CodedTable {
    if (codes.length > device.maxBindingBytes)
      throw new Error(`${label}: ${codes.length} bytes of codes, the adapter binds at most ${device.maxBindingBytes}`);
    const words = new Uint32Array(codes.length / 4);
    new Uint8Array(words.buffer).set(codes);
    return new CodedTable(device.tensor(words, undefined, { label: `codes of ${label}` }).keep(), parts, null, label);
  }

  get requiresGrad(): boolean {
    return this.parts.requiresGrad;
  }

  /** The same rows times other scales, [V]. */
  scaled(scales: Tensor | null): CodedTable {
    return new CodedTable(this.codes, this.parts, scales, this.label);
  }

  /** Read back, and widened; without scales. */
  async data(): Promise<Float32Array> {
    const { buffer } = (await this.codes.data()) as Uint32Array;
    return widenCodes({ codes: new Uint8Array(buffer), each: this.each }, (await this.parts.data()) as Float32Array);
  }

  dispose(): void {
    this.codes.dispose();
  }
}

/** [V, D], whole or in shards, or compressed. */
export type Table = Tensor | ShardedTable | PackedTable | CodedTable;

/** Whether rows of a table are made when they are read. */
export const isCompressed = (table: Table): table is PackedTable | CodedTable =>
  table instanceof PackedTable || table instanceof CodedTable;

/** The shards of a table; a tensor is its own only one. @throws Error where it is compressed: such a table is not trained */
export function shardsOf(table: Table): readonly TableShard[] {
  if (isCompressed(table)) {
    const format = table instanceof PackedTable ? table.format : 'codes';
    throw new Error(`${table.label}: expected a table of f32, got one of ${format}; unpack it to train it`);
  }
  return table instanceof ShardedTable ? table.shards : [{ tensor: table, first: 0, rows: table.shape[0] }];
}

/** Rows [first, first + rows) of a table that lie within one shard. */
export interface TableRange {
  readonly first: number;
  readonly rows: number;
}

/** A table's rows in ranges of at most `most`, a multiple of `SHARD_ROWS`. */
export function rowRanges(table: Table, most: number): TableRange[] {
  const whole = [{ first: 0, rows: table.shape[0] }];
  const shards = table instanceof CodedTable ? whole : table instanceof PackedTable ? table.shards : shardsOf(table);
  return shards.flatMap(({ first, rows }) =>
    Array.from({ length: Math.ceil(rows / most) }, (_, i) => ({
      first: first + i * most,
      rows: Math.min(most, rows - i * most),
    })),
  );
}

/** A range of a table's rows, as part of the shard's tensor. */
export interface TableBlock extends TableRange {
  readonly shard: Tensor;
  /** The block's first row in the shard. */
  readonly at: number;
}

/** The table in blocks of at most `most` rows, a multiple of `SHARD_ROWS` unless the whole table is one block. */
export function blocksOf(table: Table, most: number): TableBlock[] {
  return shardsOf(table).flatMap(({ tensor, first }) =>
    rowRanges(tensor, most).map(({ first: at, rows }) => ({ shard: tensor, at, first: first + at, rows })),
  );
}
