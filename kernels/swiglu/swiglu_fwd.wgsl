// swiglu_fwd: y[r, c] = silu(x[r, c]) · x[r, F + c] (Shazeer 2020, eq. 5, without the products around it).
// Layout: x [rows, 2F] as gate|up, y [rows, F]. A thread owns one vec4 of y, a workgroup 256. No workgroup memory.
// Host: F % 4 = 0; n = rows · F / 4.
struct Params { n: u32, f: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.n) { return; }
  let f4 = p.f / 4u;
  let at = i + i / f4 * f4;
  y[i] = silu4(x[at]) * x[at + f4];
}
// @use group_index, sigmoid
