// The factors 0 or keep_scale that dropout gives the attention weights (i, j) and (i, j + 1) of one head, j even;
// c0 = stream + head. The counter's word 1 is i · 2^16 + j / 2, so that one call serves two keys.
fn attention_keep2(key: vec2u, c0: u32, i: u32, j: u32, threshold: u32, keep_scale: f32) -> vec2f {
  let words = threefry2x32(key, vec2u(c0, (i << 16u) | (j >> 1u)));
  return select(vec2f(0.0), vec2f(keep_scale), words >= vec2u(threshold));
}
// @use threefry
