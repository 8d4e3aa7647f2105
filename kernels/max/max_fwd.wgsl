// max_fwd: y[r, s] = the largest x[r, c] with c in chunk s of row r; at[r, s] = its c, the first of equals; NaN is the largest. In a second
// pass (second = 1) the columns of x are chunks, and at takes what `within` says of the chosen one.
// Layout: x [rows, cols] f32, within [rows, cols] u32, y f32 and at u32 [rows, chunks]. A workgroup owns one chunk of
// one row; thread t takes the columns t, t + 64, …, then a tree, both by the values' keys. Workgroup memory: 512 bytes.
// Host: cols ≥ 1, chunks = ⌈cols / chunk⌉.
struct Params { rows: u32, cols: u32, chunk: u32, chunks: u32, second: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> within: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> at: array<u32>;
var<workgroup> keys: array<u32, 64>;
var<workgroup> columns: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let g = group_index(wid, grid);
  if (g >= p.rows * p.chunks) { return; }
  let first = (g % p.chunks) * p.chunk;
  let last = min(p.cols, first + p.chunk);
  let base = (g / p.chunks) * p.cols;
  var best = min(first + lid, last - 1u);
  var key = top_key(x[base + best]);
  for (var c = first + lid + 64u; c < last; c += 64u) {
    let k = top_key(x[base + c]);
    if (k > key) { key = k; best = c; }
  }
  keys[lid] = key;
  columns[lid] = best;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lid < half) {
      let k = keys[lid + half];
      let c = columns[lid + half];
      if (k > keys[lid] || (k == keys[lid] && c < columns[lid])) { keys[lid] = k; columns[lid] = c; }
    }
  }
  if (lid == 0u) {
    var c = columns[0];
    y[g] = x[base + c];
    if (p.second == 1u) { c = within[base + c]; }
    at[g] = c;
  }
}
// @use group_index, sort_key
