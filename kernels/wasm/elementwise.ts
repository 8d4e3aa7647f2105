/** Ops that go over elements. Addresses in bytes, sizes in elements; definitions are those of engine/ops/*.ref.ts. */
import { exp4, log4, sigmoid4 } from './math';

/** Stores the first `left` (at least 1) of four numbers. */
// @ts-ignore: decorator
@inline
function storeSome(to: usize, x: v128, left: usize): void {
  if (left >= 4) return v128.store(to, x);
  store<f32>(to, f32x4.extract_lane(x, 0));
  if (left > 1) store<f32>(to, f32x4.extract_lane(x, 1), 4);
  if (left > 2) store<f32>(to, f32x4.extract_lane(x, 2), 8);
}

export function fill(x: usize, n: usize, value: f32): void {
  for (let i: usize = 0; i < n; i += 4) storeSome(x + (i << 2), f32x4.splat(value), n - i);
}

/** y = factor · x. */
export function scale(x: usize, y: usize, n: usize, factor: f32): void {
  for (let i: usize = 0; i < n; i += 4)
    storeSome(y + (i << 2), f32x4.mul(f32x4.splat(factor), v128.load(x + (i << 2))), n - i);
}

// @ts-ignore: decorator
@inline
function combine(op: i32, a: v128, b: v128): v128 {
  if (op == 0) return f32x4.add(a, b);
  if (op == 1) return f32x4.sub(a, b);
  if (op == 2) return f32x4.mul(a, b);
  return f32x4.div(a, b);
}

/** y = a ∘ b (0 add, 1 sub, 2 mul, 3 div); a side of fewer than n elements repeats. */
export function binary(a: usize, b: usize, y: usize, n: usize, na: usize, nb: usize, op: i32): void {
  if (na == 1 || nb == 1) {
    for (let i: usize = 0; i < n; i += 4) {
      const u = na == 1 ? v128.load32_splat(a) : v128.load(a + (i << 2));
      const v = nb == 1 ? v128.load32_splat(b) : v128.load(b + (i << 2));
      storeSome(y + (i << 2), combine(op, u, v), n - i);
    }
    return;
  }
  const period = min(na, nb);
  for (let from: usize = 0; from < n; from += period) {
    const u = na < n ? a : a + (from << 2);
    const v = nb < n ? b : b + (from << 2);
    for (let i: usize = 0; i < period; i += 4) {
      const o = i << 2;
      storeSome(y + (from << 2) + o, combine(op, v128.load(u + o), v128.load(v + o)), period - i);
    }
  }
}

/** y = f(x): 0 relu, 1 silu, 2 sigmoid, 4 exp, 5 log. */
export function unary(x: usize, y: usize, n: usize, op: i32): void {
  for (let i: usize = 0; i < n; i += 4) {
    const u = v128.load(x + (i << 2));
    let v: v128;
    if (op == 0) v = f32x4.max(u, f32x4.splat(0));
    else if (op == 1) v = f32x4.mul(u, sigmoid4(u));
    else if (op == 2) v = sigmoid4(u);
    else if (op == 4) v = exp4(u);
    else v = log4(u);
    storeSome(y + (i << 2), v, n - i);
  }
}

/** silu(gate) · up for rows that hold gate and up side by side, f (a multiple of 4) each. */
export function swiglu(x: usize, y: usize, n: usize, f: usize): void {
  for (let i: usize = 0; i < n; i += 4) {
    const at = x + ((i + (i / f) * f) << 2);
    const gate = v128.load(at);
    v128.store(y + (i << 2), f32x4.mul(f32x4.mul(gate, sigmoid4(gate)), v128.load(at + (f << 2))));
  }
}
