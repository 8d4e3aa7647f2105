// mask_seen: scores[r, items[j] − first] = −3e38 for j in [offsets[r], offsets[r + 1]), in place; items outside of
// first … first + V − 1 are passed over.
// Layout: scores [R, V], offsets [R + 1], items [capacity] (u32). A workgroup owns a row, a thread every 64th item of its
// list. No workgroup memory. Host: offsets do not decrease and end within items.
struct Params { rows: u32, v: u32, first: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> offsets: array<u32>;
@group(0) @binding(2) var<storage, read> items: array<u32>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let end = min(offsets[row + 1u], p.capacity);
  for (var j = offsets[row] + lid; j < end; j += 64u) {
    let item = items[j] - p.first; // wraps around below first
    if (item < p.v) { scores[row * p.v + item] = -3e38; }
  }
}
// @use group_index
