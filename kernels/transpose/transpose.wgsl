// transpose: y[b, j, i] = [that +] x[b, i, j]; adds to y where acc = 1.
// Layout: x [batch, rows, cols], y [batch, cols, rows], f32. A workgroup owns a 16 × 16 tile, held in workgroup memory so
// that both sides are read and written along rows (1,088 bytes; a column of padding keeps banks apart).
struct Params { batch: u32, rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
var<workgroup> tile: array<f32, 272>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_id) lid: vec3u) {
  let down = (p.rows + 15u) / 16u;
  let across = (p.cols + 15u) / 16u;
  let g = group_index(wid, grid);
  let b = g / (down * across);
  let row = (g / across % down) * 16u;
  let col = (g % across) * 16u;
  if (b >= p.batch) { return; }
  let base = b * p.rows * p.cols;
  if (row + lid.y < p.rows && col + lid.x < p.cols) {
    tile[lid.y * 17u + lid.x] = x[base + (row + lid.y) * p.cols + col + lid.x];
  }
  workgroupBarrier();
  if (col + lid.y < p.cols && row + lid.x < p.rows) {
    let to = base + (col + lid.y) * p.rows + row + lid.x;
    var v = tile[lid.x * 17u + lid.y];
    if (p.acc == 1u) { v += y[to]; }
    y[to] = v;
  }
}
// @use group_index
