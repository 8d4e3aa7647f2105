/**
 * C = act(op(A) · op(B) + bias) + residual, for a batch of matrices sa, sb and sc apart. Addresses in bytes, strides in elements. op(A)[i, k] is at
 * a + i · aRow + k · aStep; op(B) is [K, N] with rows ldb apart, or with transB [N, K]; C, Z and residual have rows ldc apart.
 *
 * B as it is: a tile of 4 rows × 8 columns in registers, a row of B's 8 columns loaded once for 4 rows of A.
 * B transposed: 2 rows of A against 4 of B along K, and the four lanes of each added at the end.
 */
import { sigmoid4, sums4 } from './math';

/** Bits of `flags`, as engine/ops/matmul.ref.ts has them. */
const BIAS = 1;
const ADD = 2;
const Z = 4;
const RESIDUAL = 32;

const RELU = 1;
const GELU = 2;
const SILU = 3;

// Of the product that runs.
let bias: usize = 0;
let z: usize = 0;
let residual: usize = 0;
let flags: i32 = 0;
let act: i32 = 0;

// @ts-expect-error: decorator
@inline
function activate(x: v128): v128 {
  if (act == RELU) return f32x4.max(x, f32x4.splat(0));
  if (act == SILU) return f32x4.mul(x, sigmoid4(x));
  // tanh-GELU: ½ x (1 + tanh u) = x · sigmoid(2u)
  const cube = f32x4.mul(f32x4.mul(f32x4.mul(x, x), x), f32x4.splat(0.044715));
  return f32x4.mul(x, sigmoid4(f32x4.mul(f32x4.add(x, cube), f32x4.splat(1.5957691216057308))));
}

/** Four sums of columns from j on, before they are stored at byte `at` of C. */
// @ts-expect-error: decorator
@inline
function finish(c: usize, sums: v128, j: i32, at: usize): void {
  let x = sums;
  if (flags & BIAS) x = f32x4.add(x, v128.load(bias + ((<usize>j) << 2)));
  if (flags & Z) v128.store(z + at, x);
  if (act != 0) x = activate(x);
  if (flags & RESIDUAL) x = f32x4.add(x, v128.load(residual + at));
  if (flags & ADD) x = f32x4.add(x, v128.load(c + at));
  v128.store(c + at, x);
}

/** The same for one element. */
function finishOne(c: usize, sum: f32, j: i32, at: usize): void {
  let x = sum;
  if (flags & BIAS) x += load<f32>(bias + ((<usize>j) << 2));
  if (flags & Z) store<f32>(z + at, x);
  if (act != 0) x = f32x4.extract_lane(activate(f32x4.splat(x)), 0);
  if (flags & RESIDUAL) x += load<f32>(residual + at);
  if (flags & ADD) x += load<f32>(c + at);
  store<f32>(c + at, x);
}

export function matmul(
  a: usize, b: usize, c: usize, biasAt: usize, zAt: usize, residualAt: usize,
  batch: i32, sa: i32, sb: i32, sc: i32, m: i32, n: i32, k: i32, aRow: i32, aStep: i32, ldb: i32, ldc: i32,
  transB: bool, epilogue: i32, activation: i32,
): void {
  bias = biasAt;
  z = zAt;
  residual = residualAt;
  flags = epilogue;
  act = activation;
  const ar = <usize>(aRow << 2);
  const as = <usize>(aStep << 2);
  const br = <usize>(ldb << 2);
  const cr = <usize>(ldc << 2);
  for (let i = 0; i < batch; i++) {
    if (transB) byRows(a, b, c, m, n, k, ar, br, cr);
    else byColumns(a, b, c, m, n, k, ar, as, br, cr);
    const next = (<usize>sc) << 2;
    a += (<usize>sa) << 2;
    b += (<usize>sb) << 2;
    c += next;
    z += next;
    residual += next;
  }
}

function byColumns(
  a: usize, b: usize, c: usize, m: i32, n: i32, k: i32, ar: usize, as: usize, br: usize, cr: usize,
): void {
  let j = 0;
  for (; j + 8 <= n; j += 8) {
    const col = (<usize>j) << 2;
    let i = 0;
    for (; i + 4 <= m; i += 4) {
      const a0 = a + <usize>i * ar;
      let p0 = f32x4.splat(0), q0 = f32x4.splat(0), p1 = f32x4.splat(0), q1 = f32x4.splat(0);
      let p2 = f32x4.splat(0), q2 = f32x4.splat(0), p3 = f32x4.splat(0), q3 = f32x4.splat(0);
      let at = a0;
      let bt = b + col;
      for (let t = 0; t < k; t++) {
        const u = v128.load(bt);
        const v = v128.load(bt, 16);
        const x0 = v128.load32_splat(at);
        p0 = f32x4.add(p0, f32x4.mul(x0, u));
        q0 = f32x4.add(q0, f32x4.mul(x0, v));
        const x1 = v128.load32_splat(at + ar);
        p1 = f32x4.add(p1, f32x4.mul(x1, u));
        q1 = f32x4.add(q1, f32x4.mul(x1, v));
        const x2 = v128.load32_splat(at + 2 * ar);
        p2 = f32x4.add(p2, f32x4.mul(x2, u));
        q2 = f32x4.add(q2, f32x4.mul(x2, v));
        const x3 = v128.load32_splat(at + 3 * ar);
        p3 = f32x4.add(p3, f32x4.mul(x3, u));
        q3 = f32x4.add(q3, f32x4.mul(x3, v));
        at += as;
        bt += br;
      }
      const ct = <usize>i * cr + col;
      finish(c, p0, j, ct);
      finish(c, q0, j + 4, ct + 16);
      finish(c, p1, j, ct + cr);
      finish(c, q1, j + 4, ct + cr + 16);
      finish(c, p2, j, ct + 2 * cr);
      finish(c, q2, j + 4, ct + 2 * cr + 16);
      finish(c, p3, j, ct + 3 * cr);
      finish(c, q3, j + 4, ct + 3 * cr + 16);
    }
    for (; i < m; i++) {
      let p = f32x4.splat(0), q = f32x4.splat(0);
      let at = a + <usize>i * ar;
      let bt = b + col;
      for (let t = 0; t < k; t++) {
        const x = v128.load32_splat(at);
        p = f32x4.add(p, f32x4.mul(x, v128.load(bt)));
        q = f32x4.add(q, f32x4.mul(x, v128.load(bt, 16)));
        at += as;
        bt += br;
      }
      const ct = <usize>i * cr + col;
      finish(c, p, j, ct);
      finish(c, q, j + 4, ct + 16);
    }
  }
  for (; j < n; j++) {
    for (let i = 0; i < m; i++) {
      let sum: f32 = 0;
      let at = a + <usize>i * ar;
      let bt = b + ((<usize>j) << 2);
      for (let t = 0; t < k; t++) {
        sum += load<f32>(at) * load<f32>(bt);
        at += as;
        bt += br;
      }
      finishOne(c, sum, j, <usize>i * cr + ((<usize>j) << 2));
    }
  }
}

/** What the columns of K behind the last whole vector add to the products of one row of A with four of B. */
function rest(at: usize, bt: usize, br: usize, from: i32, k: i32): v128 {
  let sums = f32x4.splat(0);
  for (let t = from; t < k; t++) {
    const o = (<usize>t) << 2;
    const u = f32x4(load<f32>(bt + o), load<f32>(bt + br + o), load<f32>(bt + 2 * br + o), load<f32>(bt + 3 * br + o));
    sums = f32x4.add(sums, f32x4.mul(v128.load32_splat(at + o), u));
  }
  return sums;
}

function byRows(a: usize, b: usize, c: usize, m: i32, n: i32, k: i32, ar: usize, br: usize, cr: usize): void {
  const whole = k & ~3;
  const end = (<usize>whole) << 2;
  let j = 0;
  for (; j + 4 <= n; j += 4) {
    const b0 = b + <usize>j * br;
    let i = 0;
    for (; i + 2 <= m; i += 2) {
      const a0 = a + <usize>i * ar;
      let p0 = f32x4.splat(0), p1 = f32x4.splat(0), p2 = f32x4.splat(0), p3 = f32x4.splat(0);
      let q0 = f32x4.splat(0), q1 = f32x4.splat(0), q2 = f32x4.splat(0), q3 = f32x4.splat(0);
      for (let o: usize = 0; o < end; o += 16) {
        const x = v128.load(a0 + o);
        const y = v128.load(a0 + ar + o);
        const u0 = v128.load(b0 + o);
        p0 = f32x4.add(p0, f32x4.mul(x, u0));
        q0 = f32x4.add(q0, f32x4.mul(y, u0));
        const u1 = v128.load(b0 + br + o);
        p1 = f32x4.add(p1, f32x4.mul(x, u1));
        q1 = f32x4.add(q1, f32x4.mul(y, u1));
        const u2 = v128.load(b0 + 2 * br + o);
        p2 = f32x4.add(p2, f32x4.mul(x, u2));
        q2 = f32x4.add(q2, f32x4.mul(y, u2));
        const u3 = v128.load(b0 + 3 * br + o);
        p3 = f32x4.add(p3, f32x4.mul(x, u3));
        q3 = f32x4.add(q3, f32x4.mul(y, u3));
      }
      const ct = <usize>i * cr + ((<usize>j) << 2);
      let p = sums4(p0, p1, p2, p3);
      let q = sums4(q0, q1, q2, q3);
      if (whole < k) {
        p = f32x4.add(p, rest(a0, b0, br, whole, k));
        q = f32x4.add(q, rest(a0 + ar, b0, br, whole, k));
      }
      finish(c, p, j, ct);
      finish(c, q, j, ct + cr);
    }
    if (i < m) {
      const a0 = a + <usize>i * ar;
      let p0 = f32x4.splat(0), p1 = f32x4.splat(0), p2 = f32x4.splat(0), p3 = f32x4.splat(0);
      for (let o: usize = 0; o < end; o += 16) {
        const x = v128.load(a0 + o);
        p0 = f32x4.add(p0, f32x4.mul(x, v128.load(b0 + o)));
        p1 = f32x4.add(p1, f32x4.mul(x, v128.load(b0 + br + o)));
        p2 = f32x4.add(p2, f32x4.mul(x, v128.load(b0 + 2 * br + o)));
        p3 = f32x4.add(p3, f32x4.mul(x, v128.load(b0 + 3 * br + o)));
      }
      let p = sums4(p0, p1, p2, p3);
      if (whole < k) p = f32x4.add(p, rest(a0, b0, br, whole, k));
      finish(c, p, j, <usize>i * cr + ((<usize>j) << 2));
    }
  }
  for (; j < n; j++) {
    const b0 = b + <usize>j * br;
    for (let i = 0; i < m; i++) {
      const a0 = a + <usize>i * ar;
      let sum: f32 = 0;
      for (let o: usize = 0; o < (<usize>k) << 2; o += 4) sum += load<f32>(a0 + o) * load<f32>(b0 + o);
      finishOne(c, sum, j, <usize>i * cr + ((<usize>j) << 2));
    }
  }
}
