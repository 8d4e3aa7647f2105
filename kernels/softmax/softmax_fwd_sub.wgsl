enable subgroups;
// softmax_fwd for adapters with subgroups of any width: y[r, c] = exp(x[r, c] − m) / Σ exp(x[r, ·] − m).
// Layout: x, y [rows, cols], f32. A workgroup of WG threads owns a row; thread t the columns t, t + WG, …; the sums go
// over subgroups first. Workgroup memory: 4·WG bytes. Host: cols ≥ 1. Its speed on a GPU is unmeasured.
const WG: u32 = 64; // @tune
struct Params { rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let base = row * p.cols;
  var m = -3e38;
  for (var c = lid; c < p.cols; c += WG) { m = max(m, x[base + c]); }
  m = workgroup_max(lid, m);
  var sum = 0.0;
  var below = 0.0;
  for (var c = lid; c < p.cols; c += WG) {
    let d = x[base + c] - m;
    sum += exp(d);
    below += d;
  }
  let scale = 1.0 / workgroup_sum(lid, or_nan(sum, below));
  for (var c = lid; c < p.cols; c += WG) { y[base + c] = exp(x[base + c] - m) * scale; }
}
// @use group_index, workgroup_reduce, nan
