enable subgroups;
// sum_last for adapters with subgroups of 8 (lavapipe): y[r, s] = [y +] factor · Σ x[r, c] over chunk s of row r.
// Layout: x [rows, cols], y [rows, chunks], f32. A subgroup owns one chunk of one row, a workgroup 8 of them; a lane
// adds every eighth vec4 of it. No workgroup memory.
// Host: cols divisible by 4, or rows = 1; chunk divisible by 4 where chunks > 1; chunks as in sum_last.
struct Params { rows: u32, cols: u32, chunk: u32, chunks: u32, factor: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  let owned = group_index(wid, grid) * 8u + lid / 8u;
  let g = min(owned, p.rows * p.chunks - 1u); // all subgroups stay in uniform control flow; surplus ones do not write
  let first = (g % p.chunks) * p.chunk;
  let last = min(p.cols, first + p.chunk);
  let base = (g / p.chunks) * (p.cols / 4u);
  var sum = vec4f(0.0);
  for (var c = first / 4u + lane; c < last / 4u; c += 8u) { sum += x[base + c]; }
  if (last % 4u != 0u && lane == 0u) {
    sum += select(vec4f(0.0), x[last / 4u], vec4u(0u, 1u, 2u, 3u) < vec4u(last % 4u));
  }
  let total = sum8(sum.x + sum.y + sum.z + sum.w);
  if (lane == 0u && owned == g) {
    var v = p.factor * total;
    if (p.acc == 1u) { v += y[g]; }
    y[g] = v;
  }
}
// @use group_index, lanes8
