/**
 * Compressed tables: rows of numbers in fewer bits. A format is one line of `TABLE_FORMATS`, one branch of
 * kernels/lib/packed4.wgsl and one of kernels/wasm/packed.ts. Numbers lie row by row without gaps, the first in the lowest
 * bits of a word; those of row r are scales[r] times what is stored.
 */

interface Format {
  /** Of a number. */
  bits: number;
  /** Largest number that is stored: a row is scaled to it. 0: rows are stored as they are. */
  most: number;
  encode(x: number): number;
  decode(code: number): number;
}

export const TABLE_FORMATS = {
  /** IEEE 754 binary16. */
  f16: { bits: 16, most: 0, encode: toHalf, decode: fromHalf },
  /** Two's complement, symmetric: −127 to 127. */
  int8: { bits: 8, most: 127, encode: (x) => Math.round(x) & 0xff, decode: (code) => (code << 24) >> 24 },
  /** −7 to 7, stored plus 8. */
  int4: { bits: 4, most: 7, encode: (x) => Math.round(x) + 8, decode: (code) => code - 8 },
} as const satisfies Record<string, Format>;

export type TableFormat = keyof typeof TABLE_FORMATS;

/** A compressed table [V, D]. */
export interface PackedRows {
  format: TableFormat;
  /** D. */
  width: number;
  words: Uint32Array;
  /** [V] */
  scales: Float32Array;
}

/** Words that so many numbers take. */
export const packedWords = (size: number, format: TableFormat): number =>
  Math.ceil((size * TABLE_FORMATS[format].bits) / 32);

/**
 * Compresses a table [V, D].
 * @throws RangeError where a number is not finite, or beyond what f16 holds
 */
export function packRows(values: Float32Array, width: number, format: TableFormat): PackedRows {
  if (!(width > 0 && values.length % width === 0))
    throw new Error(`packRows: expected rows of ${width}, got ${values.length} numbers`);
  const { bits, most, encode } = TABLE_FORMATS[format];
  const words = new Uint32Array(packedWords(values.length, format));
  const scales = new Float32Array(values.length / width).fill(1);
  const each = 32 / bits;
  for (let row = 0, i = 0; row < scales.length; row++) {
    const end = i + width;
    let largest = 0;
    for (let j = i; j < end; j++) {
      if (values[j] - values[j] !== 0) throw new RangeError(`expected finite numbers, got ${values[j]} in row ${row}`);
      largest = Math.max(largest, Math.abs(values[j]));
    }
    if (most > 0 && largest > 0) scales[row] = largest / most;
    // Where it is too small for f32, the row is one of zeros.
    const inverse = scales[row] > 0 ? 1 / scales[row] : 0;
    for (; i < end; i++) {
      const x = most > 0 ? Math.max(-most, Math.min(most, values[i] * inverse)) : values[i];
      words[Math.floor(i / each)] |= encode(x) << (bits * (i % each));
    }
  }
  return { format, width, words, scales };
}

/** What the word array holds as number i, before it is scaled. */
export function packedAt(words: ArrayLike<number>, format: TableFormat, i: number): number {
  const { bits, decode } = TABLE_FORMATS[format];
  const each = 32 / bits;
  return decode((words[Math.floor(i / each)] >>> (bits * (i % each))) & (2 ** bits - 1));
}

/** The rows [from, to) of a compressed table as f32 [to − from, D]. */
export function unpackRows({ format, width, words, scales }: PackedRows, from = 0, to = scales.length): Float32Array {
  const out = new Float32Array((to - from) * width);
  for (let row = from, i = 0; row < to; row++)
    for (let c = 0; c < width; c++, i++) out[i] = scales[row] * packedAt(words, format, row * width + c);
  return out;
}

/** Rows of each of the tables that a table of codes is made of. */
export const CODES = 256;

/**
 * Codes of a table [V, D] of shared parts: row v is M vectors side by side, the m-th of them row codes[v, m] of the m-th of M
 * tables [256, D / M], which lie one after the other as its parts [256 M, D / M] (RecJPQ: Petrov & Macdonald, WSDM 2024).
 */
export interface ItemCodes {
  /** [V, M] */
  codes: Uint8Array;
  /** M, a multiple of 4. */
  each: number;
}

/** The rows [from, to) of a table of codes as f32 [to − from, D]. @param parts [256 M, D / M] */
export function widenCodes(
  { codes, each }: ItemCodes,
  parts: Float32Array,
  from = 0,
  to = codes.length / each,
): Float32Array {
  const width = parts.length / (CODES * each);
  const out = new Float32Array((to - from) * each * width);
  for (let i = from * each, at = 0; i < to * each; i++, at += width) {
    const row = (CODES * (i % each) + codes[i]) * width;
    for (let c = 0; c < width; c++) out[at + c] = parts[row + c];
  }
  return out;
}

const one = new Float32Array(1);
const bitsOfOne = new Uint32Array(one.buffer);

/** The nearest f16, ties to even. @throws RangeError beyond 65,504 */
function toHalf(x: number): number {
  one[0] = x;
  const sign = (bitsOfOne[0] >>> 16) & 0x8000;
  const bits = bitsOfOne[0] & 0x7fffffff;
  if (!(Math.abs(x) < 65_520)) throw new RangeError(`expected numbers up to 65,504, which f16 holds, got ${x}`);
  if (bits >= 0x38800000) return sign | ((bits + 0xfff + ((bits >>> 13) & 1) - 0x38000000) >>> 13);
  // Below 2^−14 in steps of 2^−24.
  const steps = Math.abs(x) * 2 ** 24;
  const low = Math.floor(steps);
  const up = steps - low > 0.5 || (steps - low === 0.5 && low % 2 === 1);
  return sign | (low + (up ? 1 : 0));
}

function fromHalf(code: number): number {
  const exponent = (code >>> 10) & 31;
  const fraction = code & 0x3ff;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return code & 0x8000 ? -size : size;
}
