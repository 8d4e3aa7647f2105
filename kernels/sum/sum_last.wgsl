// sum_last: y[r, s] = [y +] factor · Σ x[r, c] over c in chunk s of row r; adds to y where acc = 1.
// Layout: x [rows, cols], y [rows, chunks], f32. A workgroup owns one chunk of one row; thread t adds the columns
// t, t + 64, …, and a tree adds the 64 sums: a fixed order. Workgroup memory: 256 bytes.
// Host: chunks = ⌈cols / chunk⌉, or 1 where cols = 0.
struct Params { rows: u32, cols: u32, chunk: u32, chunks: u32, factor: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let g = group_index(wid, grid);
  if (g >= p.rows * p.chunks) { return; }
  let first = (g % p.chunks) * p.chunk;
  let last = min(p.cols, first + p.chunk);
  let base = (g / p.chunks) * p.cols;
  var sum = 0.0;
  for (var c = first + lid; c < last; c += 64u) { sum += x[base + c]; }
  sums[lid] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) { sums[lid] += sums[lid + half]; }
  }
  if (lid == 0u) {
    var v = p.factor * sums[0];
    if (p.acc == 1u) { v += y[g]; }
    y[g] = v;
  }
}
// @use group_index
