// scatter_add: y[o, v, c] = [y +] Σ x[o, i, c] over the i with ids[i] = v, in order; adds to y where acc = 1.
// Layout: x [outer, n, cols], y [outer, rows, cols], f32; ids [n] u32. A workgroup owns 64 columns of one row of y, a
// thread one of them; the ids pass by in workgroup memory, 64 at a time (256 bytes).
struct Params { outer: u32, n: u32, rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
var<workgroup> near: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let across = (p.cols + 63u) / 64u;
  let g = group_index(wid, grid);
  let row = g / across;
  if (row >= p.outer * p.rows) { return; }
  let o = row / p.rows;
  let v = row - o * p.rows;
  let c = (g - row * across) * 64u + lid;
  var sum = 0.0;
  for (var first = 0u; first < p.n; first += 64u) {
    let count = min(64u, p.n - first);
    workgroupBarrier(); // the ids may still be read
    if (lid < count) { near[lid] = ids[first + lid]; }
    workgroupBarrier();
    if (c < p.cols) {
      for (var k = 0u; k < count; k++) {
        if (near[k] == v) { sum += x[(o * p.n + first + k) * p.cols + c]; }
      }
    }
  }
  if (c < p.cols) {
    let at = row * p.cols + c;
    if (p.acc == 1u) { sum += y[at]; }
    y[at] = sum;
  }
}
// @use group_index
