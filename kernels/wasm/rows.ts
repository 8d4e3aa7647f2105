/** Ops that go over rows. Addresses in bytes, sizes in elements; definitions are those of engine/ops/*.ref.ts. */
import { sum4 } from './math';

/** x + r into sum where `residual`; norm = (z − mean) / √(var + eps) · weight + bias of that sum, or of x. */
export function layernorm(
  x: usize,
  r: usize,
  weight: usize,
  bias: usize,
  sum: usize,
  norm: usize,
  rows: i32,
  d: i32,
  eps: f32,
  residual: bool,
): void {
  const bytes = (<usize>d) << 2;
  const whole = (<usize>(d & ~3)) << 2;
  for (let i = 0; i < rows; i++) {
    const at = <usize>i * bytes;
    let z = x + at;
    if (residual) {
      for (let c: usize = 0; c < whole; c += 16)
        v128.store(sum + at + c, f32x4.add(v128.load(x + at + c), v128.load(r + at + c)));
      for (let c = whole; c < bytes; c += 4) store<f32>(sum + at + c, load<f32>(x + at + c) + load<f32>(r + at + c));
      z = sum + at;
    }
    let four = f32x4.splat(0);
    for (let c: usize = 0; c < whole; c += 16) four = f32x4.add(four, v128.load(z + c));
    let total = sum4(four);
    for (let c = whole; c < bytes; c += 4) total += load<f32>(z + c);
    const mean = total / <f32>d;
    const middle = f32x4.splat(mean);
    four = f32x4.splat(0);
    for (let c: usize = 0; c < whole; c += 16) {
      const e = f32x4.sub(v128.load(z + c), middle);
      four = f32x4.add(four, f32x4.mul(e, e));
    }
    total = sum4(four);
    for (let c = whole; c < bytes; c += 4) total += (load<f32>(z + c) - mean) * (load<f32>(z + c) - mean);
    const variance = total / <f32>d;
    const scale: f32 = isFinite<f32>(variance) ? 1 / sqrt<f32>(variance + eps) : NaN;
    const by = f32x4.splat(scale);
    for (let c: usize = 0; c < whole; c += 16) {
      const e = f32x4.mul(f32x4.sub(v128.load(z + c), middle), by);
      v128.store(norm + at + c, f32x4.add(f32x4.mul(e, v128.load(weight + c)), v128.load(bias + c)));
    }
    for (let c = whole; c < bytes; c += 4)
      store<f32>(norm + at + c, (load<f32>(z + c) - mean) * scale * load<f32>(weight + c) + load<f32>(bias + c));
  }
}

/**
 * Row i of x = row ids[i] − first of the table (zeros where it has none; with `only` it is left as it is), and row ids2[i]
 * of `second` added if that is not 0.
 */
export function embedding(
  table: usize,
  ids: usize,
  second: usize,
  ids2: usize,
  x: usize,
  rows: i32,
  d: i32,
  v: u32,
  first: u32,
  only: bool,
  v2: u32,
): void {
  const bytes = (<usize>d) << 2;
  const whole = (<usize>(d & ~3)) << 2;
  for (let i = 0; i < rows; i++) {
    const row = load<u32>(ids + ((<usize>i) << 2)) - first; // wraps where the ID is below
    const to = x + <usize>i * bytes;
    if (row < v) memory.copy(to, table + <usize>row * bytes, bytes);
    else if (only) continue;
    else memory.fill(to, 0, bytes);
    if (!second) continue;
    const row2 = load<u32>(ids2 + ((<usize>i) << 2));
    if (row2 >= v2) continue;
    const from = second + <usize>row2 * bytes;
    for (let c: usize = 0; c < whole; c += 16) v128.store(to + c, f32x4.add(v128.load(to + c), v128.load(from + c)));
    for (let c = whole; c < bytes; c += 4) store<f32>(to + c, load<f32>(to + c) + load<f32>(from + c));
  }
}

/** Row i of y = row ids[i] of x, zeros where it has none. */
export function gather(x: usize, ids: usize, y: usize, n: i32, rows: u32, cols: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let i = 0; i < n; i++) {
    const row = load<u32>(ids + ((<usize>i) << 2));
    const to = y + <usize>i * bytes;
    if (row < rows) memory.copy(to, x + <usize>row * bytes, bytes);
    else memory.fill(to, 0, bytes);
  }
}

/** Copies a block of `rows` × `cols` to another matrix; rows are `from` and `to` elements apart. */
export function block(x: usize, y: usize, rows: i32, cols: i32, from: i32, to: i32): void {
  const bytes = (<usize>cols) << 2;
  for (let i = 0; i < rows; i++) memory.copy(y + ((<usize>(i * to)) << 2), x + ((<usize>(i * from)) << 2), bytes);
}
