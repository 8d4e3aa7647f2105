enable subgroups;
// softmax_bwd for adapters with subgroups of 8 (lavapipe): dx[r, c] = [dx +] y[r, c] · (dy[r, c] − Σ dy[r, ·] · y[r, ·]).
// Layout: y, dy, dx [rows, cols], f32. A subgroup owns a row, a workgroup 8 rows; a lane every eighth vec4 of it.
// No workgroup memory. Host: cols divisible by 4.
struct Params { rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  let row = group_index(wid, grid) * 8u + lid / 8u;
  // Surplus subgroups keep uniform control flow and have an empty row.
  let base = min(row, p.rows - 1u) * (p.cols / 4u);
  let end = select(0u, p.cols / 4u, row < p.rows);
  var sum = 0.0;
  for (var c = lane; c < end; c += 8u) { sum += dot(dy[base + c], y[base + c]); }
  let total = sum8(sum);
  for (var c = lane; c < end; c += 8u) {
    var g = y[base + c] * (dy[base + c] - total);
    if (p.acc == 1u) { g += dx[base + c]; }
    dx[base + c] = g;
  }
}
// @use group_index, lanes8
