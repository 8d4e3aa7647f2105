// sparse_matmul_scalar: y[i] (+)= Σ values[e] · x[columns[e]] over row i's entries e, in order: S · x with S sparse.
// Layout: starts [M + 1], columns and values [entries]: S by rows; x [N, D], y [M, D].
// LANES threads own a row of y, a thread every LANES-th word of it; a workgroup 64 / LANES rows. No workgroup memory.
// acc = 1 adds to y. Host: columns < N.
struct Params { rows: u32, d: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> columns: array<u32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const LANES: u32 = 16; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (i >= p.rows) { return; }
  let width = p.d;
  let begin = starts[i];
  let end = starts[i + 1u];
  for (var c = lid % LANES; c < width; c += LANES) {
    var sum = f32(0.0);
    for (var e = begin; e < end; e++) { sum += values[e] * x[columns[e] * width + c]; }
    if (p.acc == 1u) { sum += y[i * width + c]; }
    y[i * width + c] = sum;
  }
}
// @use group_index
