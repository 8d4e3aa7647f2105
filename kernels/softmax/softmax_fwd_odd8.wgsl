enable subgroups;
// softmax_fwd for subgroups of exactly 8 and rows of any width (those that are not a multiple of 4 start between vec4s):
// the largest and the sum come from one reading, as in softmax_fwd_sub8.
// Layout: x, y [rows, cols], f32. A subgroup owns a row, a workgroup 8 rows; a lane every eighth column.
// No workgroup memory. Host: cols ≥ 1.
struct Params { rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 8u + lid / 8u;
  // Surplus subgroups keep uniform control flow and have an empty row.
  let base = min(row, p.rows - 1u) * p.cols;
  let end = select(0u, p.cols, row < p.rows);
  var m = -3e38;
  var sum = 0.0;
  var below = 0.0;
  for (var c = lid % 8u; c < end; c += 8u) {
    let v = x[base + c];
    let larger = max(m, v);
    let d = v - larger;
    sum = sum * exp(m - larger) + exp(d);
    below += d;
    m = larger;
  }
  let top = max8(m);
  let scale = 1.0 / sum8(or_nan(sum * exp(m - top), below));
  for (var c = lid % 8u; c < end; c += 8u) { y[base + c] = exp(x[base + c] - top) * scale; }
}
// @use group_index, lanes8, nan
