/** Functions of four numbers at once: Cephes' single-precision polynomials, within 2 units in the last place. */

/** 2ⁿ of integers from −126 to 127. */
// @ts-expect-error: decorator
@inline
function exp2i(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

/** eˣ; 0 below −87.3, infinity above 88.7, NaN of NaN. */
// @ts-expect-error: decorator
@inline
export function exp4(x: v128): v128 {
  const t = f32x4.max(f32x4.min(x, f32x4.splat(89)), f32x4.splat(-88));
  const n = f32x4.nearest(f32x4.mul(t, f32x4.splat(1.4426950408889634)));
  let r = f32x4.sub(t, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.add(r, f32x4.mul(n, f32x4.splat(2.1219444e-4)));
  let p = f32x4.splat(1.98756915e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(5.0000001201e-1));
  p = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(p, r), r), r), f32x4.splat(1));
  const whole = i32x4.trunc_sat_f32x4_s(n);
  const half = i32x4.shr_s(whole, 1); // n reaches 128: in two factors
  const y = f32x4.mul(f32x4.mul(p, exp2i(half)), exp2i(i32x4.sub(whole, half)));
  return v128.bitselect(f32x4.splat(0), y, f32x4.lt(x, f32x4.splat(-87.3)));
}

/** ln x; −infinity of 0 (and of subnormals), NaN below and of NaN. */
// @ts-expect-error: decorator
@inline
export function log4(x: v128): v128 {
  const bits = v128.and(x, i32x4.splat(0x7fffff));
  let m = v128.or(bits, i32x4.splat(0x3f000000)); // [1/2, 1)
  let e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_s(x, 23), i32x4.splat(126)));
  const small = f32x4.lt(m, f32x4.splat(0.7071067811865476));
  e = f32x4.sub(e, v128.and(small, f32x4.splat(1)));
  m = f32x4.add(f32x4.sub(m, f32x4.splat(1)), v128.and(small, m));
  const z = f32x4.mul(m, m);
  let p = f32x4.splat(7.0376836292e-2);
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.151461031e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.167699874e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.2420140846e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.4249322787e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.6668057665e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(2.0000714765e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-2.4999993993e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(3.3333331174e-1));
  let y = f32x4.mul(f32x4.mul(p, m), z);
  y = f32x4.add(y, f32x4.mul(e, f32x4.splat(-2.12194440e-4)));
  y = f32x4.sub(y, f32x4.mul(z, f32x4.splat(0.5)));
  y = f32x4.add(f32x4.add(m, y), f32x4.mul(e, f32x4.splat(0.693359375)));
  y = v128.bitselect(f32x4.splat(-Infinity), y, f32x4.lt(x, f32x4.splat(1.17549435e-38)));
  y = v128.bitselect(x, y, f32x4.eq(x, f32x4.splat(Infinity)));
  return v128.bitselect(f32x4.splat(NaN), y, v128.not(f32x4.ge(x, f32x4.splat(0))));
}

/** 1 / (1 + e⁻ˣ). */
// @ts-expect-error: decorator
@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))));
}

/** [Σa, Σb, Σc, Σd] over the four lanes of each. */
// @ts-expect-error: decorator
@inline
export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** Sum of the four lanes. */
// @ts-expect-error: decorator
@inline
export function sum4(a: v128): f32 {
  return (
    f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
  );
}
