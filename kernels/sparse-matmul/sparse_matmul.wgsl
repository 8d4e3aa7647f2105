// sparse_matmul: y[i] (+)= Σ values[e] · x[columns[e]] over row i's entries e, in order: S · x with S sparse.
// Layout: starts [M + 1], columns and values [entries]: S by rows; x [N, D], y [M, D].
// LANES threads own a row of y, a thread every LANES-th Element of it; a workgroup 64 / LANES rows. No workgroup memory.
// acc = 1 adds to y. A row becomes NaN where its entries end before they start or beyond `entries`, or a column is >= N.
// Host: D % SIZE = 0.
struct Params { rows: u32, n: u32, d: u32, entries: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> columns: array<u32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<Element>;
@group(0) @binding(5) var<storage, read_write> y: array<Element>;

alias Element = vec4f; // @tune
const SIZE: u32 = 4; // @tune elements of Element
const LANES: u32 = 16; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (i >= p.rows) { return; }
  let width = p.d / SIZE;
  let begin = starts[i];
  let end = min(starts[i + 1u], p.entries);
  for (var c = lid % LANES; c < width; c += LANES) {
    var valid = begin <= end && starts[i + 1u] == end;
    var sum = Element(0.0);
    for (var e = begin; e < end; e++) {
      let column = columns[e];
      valid = valid && column < p.n;
      sum += values[e] * x[column * width + c];
    }
    if (p.acc == 1u) { sum += y[i * width + c]; }
    if (!valid) { sum = Element(make_nan(i)); }
    y[i * width + c] = sum;
  }
}
// @use group_index, nan
