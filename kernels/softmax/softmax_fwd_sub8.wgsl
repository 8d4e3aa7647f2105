enable subgroups;
// softmax_fwd for adapters with subgroups of 8 (lavapipe), where loads cost most: the largest and the sum come from one
// reading (the sum is rescaled when the largest grows), and the row is read once more to write it.
// Layout: x, y [rows, cols], f32. A subgroup owns a row, a workgroup 8 rows; a lane every eighth vec4 of it.
// No workgroup memory. Host: cols ≥ 1 and divisible by 4.
struct Params { rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  let row = group_index(wid, grid) * 8u + lid / 8u;
  // Surplus subgroups keep uniform control flow and have an empty row.
  let base = min(row, p.rows - 1u) * (p.cols / 4u);
  let end = select(0u, p.cols / 4u, row < p.rows);
  var m = -3e38;
  var sum = 0.0;
  var below = vec4f();
  for (var c = lane; c < end; c += 8u) {
    let v = x[base + c];
    let larger = max(m, max(max(v.x, v.y), max(v.z, v.w)));
    let d = v - larger;
    let e = exp(d);
    below += d;
    sum = sum * exp(m - larger) + (e.x + e.y + e.z + e.w);
    m = larger;
  }
  let top = max8(m);
  let total = sum8(or_nan(sum * exp(m - top), below.x + below.y + below.z + below.w));
  let scale = 1.0 / total;
  for (var c = lane; c < end; c += 8u) { y[base + c] = exp(x[base + c] - top) * scale; }
}
// @use group_index, lanes8, nan
