// mixture_gate_sum: y[a, c] = [y[a, c] +] Σ_s x[a, s, c], in the order of s: the gradient of a gate that many pairs share.
// Layout: x [A, S, C], y [A, C], C in vec4. A thread owns a vec4 of y, a workgroup 64. No workgroup memory. Adds where acc = 1.
// Host: c = C / 4.
struct Params { a: u32, s: u32, c: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  if (i >= p.a * p.c) { return; }
  let first = i / p.c * p.s * p.c + i % p.c;
  var sum = vec4f();
  if (p.acc == 1u) { sum = y[i]; }
  for (var s = 0u; s < p.s; s++) { sum += x[first + s * p.c]; }
  y[i] = sum;
}
// @use group_index
