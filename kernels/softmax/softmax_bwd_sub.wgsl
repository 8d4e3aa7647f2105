enable subgroups;
// softmax_bwd for adapters with subgroups of any width: dx = [dx +] y · (dy − Σ dy · y) row by row; adds where acc = 1.
// Layout: y, dy, dx [rows, cols], f32. A workgroup of WG threads owns a row; thread t the columns t, t + WG, ….
// Workgroup memory: 4·WG bytes. Its speed on a GPU is unmeasured.
const WG: u32 = 64; // @tune
struct Params { rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let base = row * p.cols;
  var sum = 0.0;
  for (var c = lid; c < p.cols; c += WG) { sum += dy[base + c] * y[base + c]; }
  let dot = workgroup_sum(lid, sum);
  for (var c = lid; c < p.cols; c += WG) {
    var g = y[base + c] * (dy[base + c] - dot);
    if (p.acc == 1u) { g += dx[base + c]; }
    dx[base + c] = g;
  }
}
// @use group_index, workgroup_reduce
