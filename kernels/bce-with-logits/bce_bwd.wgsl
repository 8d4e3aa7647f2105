// bce_bwd: dx[i] = [dx +] dy[0] · weights[i] · (sigmoid(logits[i]) − targets[i]); adds to dx where acc = 1.
// Layout: logits, targets, weights, dx [n], dy [1], f32. A thread owns one vec4, a workgroup 1,024 elements.
// No workgroup memory. Host: buffers are padded to 16 bytes; the last vec4 may touch the padding.
struct Params { n: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  var g = dy[0] * weights[i] * (sigmoid4(logits[i]) - targets[i]);
  if (p.acc == 1u) { g += dx[i]; }
  dx[i] = g;
}
// @use group_index, sigmoid
