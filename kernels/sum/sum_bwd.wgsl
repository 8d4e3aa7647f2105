// sum_bwd: dx[r, c] = [dx +] factor · dy[r], the gradient of a sum along rows; adds to dx where acc = 1.
// Layout: dx [n / cols, cols], dy [n / cols], f32. A thread owns one vec4 of dx, a workgroup 1,024 elements.
// No workgroup memory. Host: buffers are padded to 16 bytes; the last vec4 may touch the padding.
struct Params { n: u32, cols: u32, factor: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  var g = vec4f(0.0);
  if (p.cols % 4u == 0u) {
    g = vec4f(dy[i * 4u / p.cols]);
  } else {
    let r = min(vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) / p.cols;
    g = vec4f(dy[r.x], dy[r.y], dy[r.z], dy[r.w]);
  }
  g *= p.factor;
  if (p.acc == 1u) { g += dx[i]; }
  dx[i] = g;
}
// @use group_index
