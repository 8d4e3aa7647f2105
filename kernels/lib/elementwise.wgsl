// What expressions of elementwise ops call. The kernel has: alias T, f32 or vec4f; alias U, u32 or vec4u.
// keep_nan(y, x) is NaN where x is, else y.
fn keep_nan(y: T, x: T) -> T { return select(y, x, (bitcast<U>(x) & U(0x7fffffffu)) > U(0x7f800000u)); }
// y, or this where a or b is NaN: comparisons of NaN may give anything.
fn ordered(y: T, a: T, b: T, unordered: f32) -> T {
  let nan = max(bitcast<U>(a) & U(0x7fffffffu), bitcast<U>(b) & U(0x7fffffffu)) > U(0x7f800000u);
  return select(y, T(unordered), nan);
}
