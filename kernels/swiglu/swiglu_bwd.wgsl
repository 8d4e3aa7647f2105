// swiglu_bwd: dx[r, c] = [that +] dy · x[r, F + c] · silu′(x[r, c]); dx[r, F + c] = [that +] dy · silu(x[r, c]).
// Layout: x, dx [rows, 2F] as gate|up, dy [rows, F]. A thread owns one vec4 of dy and its two of dx, a workgroup 256. No
// workgroup memory. Adds to dx where acc = 1, else overwrites it.
// Host: F % 4 = 0; n = rows · F / 4.
struct Params { n: u32, f: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.n) { return; }
  let f4 = p.f / 4u;
  let at = i + i / f4 * f4;
  let g = dy[i];
  var gate = g * x[at + f4] * silu_slope4(x[at]);
  var up = g * silu4(x[at]);
  if (p.acc == 1u) {
    gate += dx[at];
    up += dx[at + f4];
  }
  dx[at] = gate;
  dx[at + f4] = up;
}
// @use group_index, sigmoid
