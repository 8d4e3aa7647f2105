/**
 * Compressed tables (engine/packed.ts), read as they are. Addresses in bytes, sizes in elements; D is a multiple of 4.
 * Definitions are those of engine/ops/packed-*.ref.ts.
 */
import { sum4 } from './math';
import { matmul } from './matmul';

/** Rows that are widened at a time: with D = 64, 16 KiB, which stay in the nearest cache while all states go past them. */
const BLOCK: u32 = 64;

/** Numbers 4q … 4q + 3, before the row's scale. */
// @ts-expect-error: decorator
@inline
function packed4(words: usize, q: usize, bits: i32): v128 {
  if (bits == 8) {
    const bytes = v128.load32_zero(words + (q << 2));
    return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes)));
  }
  if (bits == 16) {
    // The bits of an f16 in those of an f32 are 2⁻¹¹² times it, subnormal ones included.
    const half = i32x4.extend_low_i16x8_u(v128.load64_zero(words + (q << 3)));
    const size = f32x4.mul(i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13), f32x4.splat(5.192296858534828e33));
    return v128.or(size, i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16));
  }
  const four = v128.and(i32x4.splat(load<u16>(words + (q << 1))), i32x4(0xf, 0xf0, 0xf00, 0xf000));
  const codes = f32x4.mul(f32x4.convert_i32x4_s(four), f32x4(1, 1 / 16, 1 / 256, 1 / 4096));
  return f32x4.sub(codes, f32x4.splat(8));
}

/** Writes row `row` times its scale. */
function widen(words: usize, scales: usize, row: usize, quads: usize, to: usize, bits: i32): void {
  const scale = v128.load32_splat(scales + (row << 2));
  for (let q: usize = 0; q < quads; q++)
    v128.store(to + (q << 4), f32x4.mul(packed4(words, row * quads + q, bits), scale));
}

/** Row i of x = row ids[i] − first, or without ids from + i − first; zeros where there is none, or with `only` as it is. */
export function packedRows(
  words: usize, scales: usize, ids: usize, x: usize, rows: u32, d: u32, v: u32, first: u32, only: bool, from: u32,
  bits: i32,
): void {
  const bytes = (<usize>d) << 2;
  for (let i: u32 = 0; i < rows; i++) {
    const id = (ids ? load<u32>(ids + ((<usize>i) << 2)) : from + i) - first; // wraps where the ID is below
    const to = x + <usize>i * bytes;
    if (id < v) widen(words, scales, id, d >> 2, to, bits);
    else if (!only) memory.fill(to, 0, bytes);
  }
}

/** C [r, n] = A [r, d] · rowsᵀ of the table's rows from `row` on; rows of C are ldc apart. @param scratch BLOCK · d numbers */
export function packedScores(
  a: usize, words: usize, scales: usize, c: usize, scratch: usize, r: i32, n: u32, d: u32, row: u32, ldc: i32, bits: i32,
): void {
  const bytes = (<usize>d) << 2;
  for (let first: u32 = 0; first < n; first += BLOCK) {
    const count = min(BLOCK, n - first);
    for (let j: u32 = 0; j < count; j++)
      widen(words, scales, row + first + j, d >> 2, scratch + <usize>j * bytes, bits);
    const to = c + ((<usize>first) << 2);
    matmul(a, scratch, to, 0, 0, 0, 1, 0, 0, 0, r, count, d, d, 1, d, ldc, true, 0, 0);
  }
}

/** y[i] = scales[i] / √(Σ of row i squared + 1e-12). */
export function packedNorms(words: usize, scales: usize, y: usize, v: u32, d: u32, bits: i32): void {
  const quads = (<usize>d) >> 2;
  for (let i: usize = 0; i < v; i++) {
    const scale = load<f32>(scales + (i << 2));
    let four = f32x4.splat(0);
    for (let q: usize = 0; q < quads; q++) {
      const x = f32x4.mul(packed4(words, i * quads + q, bits), f32x4.splat(scale));
      four = f32x4.add(four, f32x4.mul(x, x));
    }
    store<f32>(y + (i << 2), scale / sqrt<f32>(sum4(four) + 1e-12));
  }
}
