// 1/√x, or NaN where x is NaN or infinite, by its bits: a sum of squares that overflowed must not make a row of zeros.
fn inverse_sqrt(x: f32) -> f32 {
  return select(inverseSqrt(x), bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u), not_finite(x));
}
// @use not_finite
