// embedding_bwd_split: dtable[row] += Σ of partial[first … last), in order, for the rows that have several segments.
// Rows outside of [first, first + V), which dtable holds, are passed over.
// Layout: dtable [V, D], partial [slots, D]; groups as engine/rows.ts packs them.
// LANES threads own a split row, a thread every LANES-th Element of it; a workgroup 64 / LANES rows; surplus groups return.
// No workgroup memory. Host: D % SIZE = 0.
struct Params { d: u32, v: u32, first: u32, splits: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> groups: array<u32>;
@group(0) @binding(2) var<storage, read> partial: array<Element>;
@group(0) @binding(3) var<storage, read_write> dtable: array<Element>;

alias Element = vec4f; // @tune
const SIZE: u32 = 4; // @tune elements of Element
const LANES: u32 = 16; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let s = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (s >= groups[1]) { return; }
  let width = p.d / SIZE;
  let at = p.splits + 4u * s;
  let row = groups[at] - p.first; // wraps around below first
  if (row >= p.v) { return; }
  for (var c = lid % LANES; c < width; c += LANES) {
    var sum = Element(0.0);
    for (var j = groups[at + 1u]; j < groups[at + 2u]; j++) { sum += partial[j * width + c]; }
    dtable[row * width + c] += sum;
  }
}
// @use group_index
