// The factors 0 or keep_scale that dropout gives the attention weights (i, j) and (i, j + 1) of one head, j even;
// c0 = stream + head. The counter's word 1 is i · 2^16 + j / 2, so that one call serves two keys.
fn attention_keep2(key: vec2u, c0: u32, i: u32, j: u32, threshold: u32, keep_scale: f32) -> vec2f {
  let words = threefry2x32(key, vec2u(c0, (i << 16u) | (j >> 1u)));
  return select(vec2f(0.0), vec2f(keep_scale), words >= vec2u(threshold));
}
// Which weights of the rows i … i + 7 and the keys j … j + 3 dropout keeps (j % 4 = 0): bit 4 r + c for (i + r, j + c).
fn attention_keep_bits(key: vec2u, c0: u32, i: u32, j: u32, threshold: u32) -> u32 {
  var bits = 0u;
  for (var r = 0u; r < 8u; r++) {
    let low = threefry2x32(key, vec2u(c0, ((i + r) << 16u) | (j >> 1u)));
    let high = threefry2x32(key, vec2u(c0, ((i + r) << 16u) | (j >> 1u) | 1u));
    let four = select(vec4u(0u), vec4u(1u, 2u, 4u, 8u), vec4u(low, high) >= vec4u(threshold));
    bits |= (four.x | four.y | four.z | four.w) << (4u * r);
  }
  return bits;
}
// The same for the keys j … j + 7 (j % 8 = 0) and the rows i … i + 3: bit 4 r + c for (i + c, j + r).
fn attention_keep_bits_t(key: vec2u, c0: u32, i: u32, j: u32, threshold: u32) -> u32 {
  var bits = 0u;
  for (var n = 0u; n < 16u; n++) {
    let c = n & 3u;
    let r = 2u * (n >> 2u);
    let words = threefry2x32(key, vec2u(c0, ((i + c) << 16u) | ((j + r) >> 1u)));
    let two = select(vec2u(0u), vec2u(1u, 16u), words >= vec2u(threshold));
    bits |= (two.x | two.y) << (4u * r + c);
  }
  return bits;
}
fn attention_keep4(bits: u32, r: u32, keep_scale: f32) -> vec4f {
  return select(vec4f(0.0), vec4f(keep_scale), ((vec4u(bits) >> vec4u(4u * r)) & vec4u(1u, 2u, 4u, 8u)) != vec4u(0u));
}
// @use threefry
