enable subgroups;
// softmax_bwd for subgroups of exactly 8 and rows of any width: dx = [dx +] y · (dy − Σ dy · y) row by row.
// Layout: y, dy, dx [rows, cols], f32. A subgroup owns a row, a workgroup 8 rows; a lane every eighth column.
// No workgroup memory.
struct Params { rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 8u + lid / 8u;
  // Surplus subgroups keep uniform control flow and have an empty row.
  let base = min(row, p.rows - 1u) * p.cols;
  let end = select(0u, p.cols, row < p.rows);
  var sum = 0.0;
  for (var c = lid % 8u; c < end; c += 8u) { sum += dy[base + c] * y[base + c]; }
  let total = sum8(sum);
  for (var c = lid % 8u; c < end; c += 8u) {
    var g = y[base + c] * (dy[base + c] - total);
    if (p.acc == 1u) { g += dx[base + c]; }
    dx[base + c] = g;
  }
}
// @use group_index, lanes8
