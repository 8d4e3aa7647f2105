// softmax_fwd: y[r, c] = exp(x[r, c] − m) / Σ exp(x[r, ·] − m), m the largest of row r.
// Layout: x, y [rows, cols], f32. A workgroup owns a row; thread t the columns t, t + 64, …. Workgroup memory: 256 bytes.
// Host: cols ≥ 1.
struct Params { rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let base = row * p.cols;
  var m = -3e38;
  for (var c = lid; c < p.cols; c += 64u) { m = max(m, x[base + c]); }
  part[lid] = m;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) { part[lid] = max(part[lid], part[lid + half]); }
  }
  workgroupBarrier();
  m = part[0];
  workgroupBarrier();
  var sum = 0.0;
  var below = 0.0;
  for (var c = lid; c < p.cols; c += 64u) {
    let d = x[base + c] - m;
    sum += exp(d);
    below += d;
  }
  part[lid] = or_nan(sum, below);
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) { part[lid] += part[lid + half]; }
  }
  workgroupBarrier();
  let scale = 1.0 / part[0];
  for (var c = lid; c < p.cols; c += 64u) { y[base + c] = exp(x[base + c] - m) * scale; }
}
// @use group_index, nan
