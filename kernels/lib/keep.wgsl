// Dropout masks as factors: 0 with probability threshold / 2³², else scale. Element e takes the word e & 1 of
// threefry2x32(key (seed, step), counter (op, e / 2)).
fn keep1(key: vec2u, op: u32, e: u32, threshold: u32, scale: f32) -> f32 {
  let words = threefry2x32(key, vec2u(op, e >> 1u));
  return select(0.0, scale, select(words.x, words.y, (e & 1u) == 1u) >= threshold);
}
// The factors of the elements 4i … 4i + 3.
fn keep4(key: vec2u, op: u32, i: u32, threshold: u32, scale: f32) -> vec4f {
  let words = vec4u(threefry2x32(key, vec2u(op, 2u * i)), threefry2x32(key, vec2u(op, 2u * i + 1u)));
  return select(vec4f(0.0), vec4f(scale), words >= vec4u(threshold));
}
// @use threefry
