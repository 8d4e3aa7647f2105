// row_scale: y[i, :] = [y +] s[i] · x[i, :], the gradient of row_dot; adds to y where acc = 1.
// Layout: x, y [R, D], s [R], f32. A thread owns one vec4, a workgroup 1,024 elements. No workgroup memory.
// Host: D % 4 = 0.
struct Params { r: u32, d: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> s: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  let width = p.d / 4u;
  if (i >= p.r * width) { return; }
  var v = s[i / width] * x[i];
  if (p.acc == 1u) { v += y[i]; }
  y[i] = v;
}
// @use group_index
