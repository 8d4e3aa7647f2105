// a to the power of b as IEEE 754 has it, which WGSL's pow() has for positive a alone; T and U as in elementwise.wgsl.
fn power(a: T, b: T) -> T {
  let size = select(pow(abs(a), b), T(1.0), b == T(0.0));
  let odd = floor(b * 0.5) * 2.0 != b;
  let whole = floor(b) == b;
  let of_zero = select(select(T(1.0), 1.0 / abs(a), b < T(0.0)), T(0.0), b > T(0.0));
  let y = select(size, of_zero, a == T(0.0));
  let signed = select(y, select(bitcast<T>(U(0x7fc00000u) | (bitcast<U>(a) & U(1u))), select(y, -y, odd), whole), a < T(0.0));
  return keep_nan(keep_nan(signed, a), b);
}
// @use elementwise
