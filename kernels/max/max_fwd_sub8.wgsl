enable subgroups;
// max_fwd for adapters with subgroups of 8 (lavapipe): y[r, s] = the largest of chunk s of row r, at[r, s] = its column,
// the first of equals, NaN the largest; in a second pass what `within` says of it.
// Layout: as in max_fwd. A subgroup owns one chunk of one row, a workgroup 8 of them; a lane every eighth column.
// No workgroup memory. Host: as for max_fwd.
struct Params { rows: u32, cols: u32, chunk: u32, chunks: u32, second: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> within: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> at: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  let owned = group_index(wid, grid) * 8u + lid / 8u;
  let g = min(owned, p.rows * p.chunks - 1u); // all subgroups stay in uniform control flow; surplus ones do not write
  let first = (g % p.chunks) * p.chunk;
  let last = min(p.cols, first + p.chunk);
  let base = (g / p.chunks) * p.cols;
  var best = min(first + lane, last - 1u);
  var key = top_key(x[base + best]);
  for (var c = first + lane + 8u; c < last; c += 8u) {
    let k = top_key(x[base + c]);
    if (k > key) { key = k; best = c; }
  }
  let top = subgroupMax(key);
  var c = subgroupMin(select(0xffffffffu, best, key == top));
  if (lane == 0u && owned == g) {
    y[g] = x[base + c];
    if (p.second == 1u) { c = within[base + c]; }
    at[g] = c;
  }
}
// @use group_index, sort_key
