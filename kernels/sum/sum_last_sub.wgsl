enable subgroups;
// sum_last for adapters with subgroups of any width: y[r, s] = [y +] factor · Σ x[r, c] over chunk s of row r.
// Layout: x [rows, cols], y [rows, chunks], f32. A workgroup of WG threads owns one chunk of one row; thread t adds the
// columns t, t + WG, …, then subgroups and what they give are added. Workgroup memory: 4·WG bytes.
// Host: chunks as in sum_last. Its speed on a GPU is unmeasured.
const WG: u32 = 64; // @tune
struct Params { rows: u32, cols: u32, chunk: u32, chunks: u32, factor: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let g = group_index(wid, grid);
  if (g >= p.rows * p.chunks) { return; }
  let first = (g % p.chunks) * p.chunk;
  let last = min(p.cols, first + p.chunk);
  let base = (g / p.chunks) * p.cols;
  var sum = 0.0;
  for (var c = first + lid; c < last; c += WG) { sum += x[base + c]; }
  let total = workgroup_sum(lid, sum);
  if (lid == 0u) {
    var v = p.factor * total;
    if (p.acc == 1u) { v += y[g]; }
    y[g] = v;
  }
}
// @use group_index, workgroup_reduce
