// Distances in half octaves: 0, 1, 2, 3, 4–5, 6–7, 8–11, 12–15, … ; 0 to 63 for any u32, exact in integers.
fn half_octave(x: u32) -> u32 {
  if (x < 2u) { return x; }
  let e = firstLeadingBit(x);
  return 2u * e + ((x >> (e - 1u)) & 1u);
}
// Where the bias of a pair is in its head's row of the table: distances in positions are exact to 31 and in half
// octaves beyond; keys after the query (side 1) have columns of their own.
fn position_slot(i: u32, j: u32) -> u32 {
  let x = max(i, j) - min(i, j);
  return select(0u, 64u, j > i) + select(22u + half_octave(x), x, x < 32u);
}
fn time_slot(side: bool, a: u32, b: u32) -> u32 {
  return select(0u, 64u, side) + half_octave(max(a, b) - min(a, b));
}
// Pointwise attention: x · sigmoid(x) and its slope; exp never takes a positive number.
fn silu_and_slope(x: f32) -> vec2f {
  let e = exp(-abs(x));
  let s = select(e, 1.0, x >= 0.0) / (1.0 + e);
  return vec2f(x * s, s * (1.0 + x * (1.0 - s)));
}
