// softmax_bwd: dx[r, c] = [dx +] y[r, c] · (dy[r, c] − Σ dy[r, ·] · y[r, ·]); adds to dx where acc = 1.
// Layout: y, dy, dx [rows, cols], f32. A workgroup owns a row; thread t the columns t, t + 64, ….
// Workgroup memory: 256 bytes.
struct Params { rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let base = row * p.cols;
  var sum = 0.0;
  for (var c = lid; c < p.cols; c += 64u) { sum += dy[base + c] * y[base + c]; }
  part[lid] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) { part[lid] += part[lid + half]; }
  }
  workgroupBarrier();
  let dot = part[0];
  for (var c = lid; c < p.cols; c += 64u) {
    var g = y[base + c] * (dy[base + c] - dot);
    if (p.acc == 1u) { g += dx[base + c]; }
    dx[base + c] = g;
  }
}
// @use group_index
