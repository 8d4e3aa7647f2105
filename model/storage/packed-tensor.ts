/** Tensors at rest in fewer bits (engine/packed.ts): a drop-in for a stored tensor of f32, widened only where it is asked for. */
import { CodedTensor } from './coded-tensor.ts';
import { type PackedRows, packRows, sizeOf, TABLE_FORMATS, type TableFormat, unpackRows } from '../../engine/index.ts';

export class PackedTensor {
  readonly shape: readonly number[];
  private readonly packed: PackedRows;

  /** @param shape its last axis is the rows' width */
  constructor(shape: readonly number[], packed: PackedRows) {
    this.shape = shape;
    this.packed = packed;
  }

  /** @throws RangeError where a number is not finite, or beyond what f16 holds */
  static of(shape: readonly number[], data: Float32Array, format: TableFormat): PackedTensor {
    return new PackedTensor(shape, packRows(data, shape.at(-1) ?? 1, format));
  }

  get format(): TableFormat {
    return this.packed.format;
  }

  /** As a table on a device takes it. */
  rows(): PackedRows {
    return this.packed;
  }

  /** All of it in f32; made anew each time. */
  get data(): Float32Array {
    return unpackRows(this.packed);
  }

  /** The packed numbers, without the scales. */
  get bytes(): Uint8Array {
    const { buffer, byteOffset } = this.packed.words;
    return new Uint8Array(buffer, byteOffset, Math.ceil((sizeOf(this.shape) * TABLE_FORMATS[this.format].bits) / 8));
  }

  /** What is not finite, as its value and element; null where all is. */
  firstNonFinite(): { value: number; at: number } | null {
    const { format, width, words, scales } = this.packed;
    const row = scales.findIndex((scale) => scale - scale !== 0);
    if (row >= 0) return { value: scales[row], at: row * width };
    if (format !== 'f16') return null;
    const odd = words.findIndex((word) => (word & 0x7c00) === 0x7c00 || (word & 0x7c000000) === 0x7c000000);
    if (odd < 0) return null;
    const low = (words[odd] & 0x7c00) === 0x7c00;
    const code = low ? words[odd] & 0xffff : words[odd] >>> 16;
    return { value: code & 0x3ff ? Number.NaN : Number.POSITIVE_INFINITY, at: 2 * odd + (low ? 0 : 1) };
  }
}

/** Row v of a stored matrix. */
export function rowOf(
  tensor: PackedTensor | CodedTensor | { shape: readonly number[]; data: Float32Array | Uint32Array },
  v: number,
): Float32Array | Uint32Array {
  const [, width] = tensor.shape;
  if (tensor instanceof CodedTensor) return tensor.row(v);
  if (tensor instanceof PackedTensor) return unpackRows(tensor.rows(), v, v + 1);
  return tensor.data.subarray(v * width, (v + 1) * width);
}
