// dropout: y = [y +] x · keep / (1 − rate), forward (x → y) and backward (dy → dx) alike; the mask is never stored.
// Element e is kept if the word e & 1 of threefry2x32(key (seed, step), counter (op, e / 2)) is at least `threshold`
// = ⌊rate · 2³²⌋. The identity where state[STATE_DROPOUT] = 0.
// Layout: x, y [n], f32; state [16]: seed, step, …, 5 dropout on. A thread owns one vec4, a workgroup 1,024 elements.
// No workgroup memory. Host: buffers are padded to 16 bytes; the last vec4 may touch the padding.
struct Params { n: u32, op: u32, threshold: u32, scale: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  var v = x[i];
  if (state[STATE_DROPOUT] != 0u) {
    v *= keep4(vec2u(state[STATE_SEED], state[STATE_STEP]), p.op, i, p.threshold, p.scale);
  }
  if (p.acc == 1u) { v += y[i]; }
  y[i] = v;
}
// @use group_index, keep, state
