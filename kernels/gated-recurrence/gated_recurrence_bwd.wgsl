// gated_recurrence_bwd: with g[t] = dy[t] + a[t + 1] · g[t + 1], where t + 1 is of the same history,
// dv[t] = (1 − a[t]) · g[t] and df[t] = a[t] · (1 − a[t]) · (y[t − 1] − v[t]) · g[t], a = σ(f), y[−1] = 0.
// Layout: x, dx [L, 2D], f and v side by side; start [L]; y, dy [L, D].
// A thread owns four channels of all tokens, from the last to the first; a workgroup 32 channels. No workgroup memory.
// Adds to dx where acc = 1. Host: D % 4 = 0; d4 = D / 4.
struct Params { l: u32, d4: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let c = group_index(wid, grid) * 8u + lid;
  if (c >= p.d4) { return; }
  var later = vec4f(); // a[t + 1] · g[t + 1]
  for (var t = p.l; t > 0u; t--) {
    let row = t - 1u;
    let at = 2u * row * p.d4 + c;
    let first = start[row] >= row;
    var before = vec4f();
    if (!first) { before = y[(row - 1u) * p.d4 + c]; }
    let a = 1.0 / (1.0 + exp(-x[at]));
    let g = dy[row * p.d4 + c] + later;
    var df = a * (1.0 - a) * (before - x[at + p.d4]) * g;
    var dv = (1.0 - a) * g;
    if (p.acc == 1u) {
      df += dx[at];
      dv += dx[at + p.d4];
    }
    dx[at] = df;
    dx[at + p.d4] = dv;
    later = a * g;
    if (first) { later = vec4f(); }
  }
}
// @use group_index
