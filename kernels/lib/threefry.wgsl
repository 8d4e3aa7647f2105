// Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", §4.2): two random
// words for a key and a counter, with no state. Its twin is engine/random/random.ts, bit for bit.
fn threefry_rotate(x: u32, by: u32) -> u32 { return (x << by) | (x >> (32u - by)); }
fn threefry_mix(x: vec2u, by: u32) -> vec2u {
  let s = x.x + x.y;
  return vec2u(s, threefry_rotate(x.y, by) ^ s);
}
fn threefry_four_a(x: vec2u) -> vec2u { return threefry_mix(threefry_mix(threefry_mix(threefry_mix(x, 13u), 15u), 26u), 6u); }
fn threefry_four_b(x: vec2u) -> vec2u { return threefry_mix(threefry_mix(threefry_mix(threefry_mix(x, 17u), 29u), 16u), 24u); }
fn threefry2x32(key: vec2u, ctr: vec2u) -> vec2u {
  let k2 = 0x1BD11BDAu ^ key.x ^ key.y;
  var x = threefry_four_a(ctr + key) + vec2u(key.y, k2 + 1u);
  x = threefry_four_b(x) + vec2u(k2, key.x + 2u);
  x = threefry_four_a(x) + vec2u(key.x, key.y + 3u);
  x = threefry_four_b(x) + vec2u(key.y, k2 + 4u);
  return threefry_four_a(x) + vec2u(k2, key.x + 5u);
}
// A word as a number in [0, 1), 24 bits of it.
fn threefry_uniform(word: u32) -> f32 { return f32(word >> 8u) * 5.9604644775390625e-8; }
