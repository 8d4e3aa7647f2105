// packed_rows: x[i] = row ids[i] of a compressed table as f32, or with listed = 0 its row from + i; an id beyond it gives a
// row of zeros.
// Layout: words and scales [V] of the rows [first, first + V) of the whole (lib/packed4.wgsl), ids [rows] (u32), x [rows, D];
// with only = 1 rows of x whose id lies outside of them are left alone.
// LANES threads own a row of x, a thread every LANES-th vec4 of it; a workgroup 64 / LANES rows. No workgroup memory.
// Host: D % 4 = 0. listed = 0 leaves ids unread.
struct Params { rows: u32, d: u32, v: u32, first: u32, only: u32, listed: u32, from_row: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>;

const BITS: u32 = 8; // @tune
const LANES: u32 = 16; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (i >= p.rows) { return; }
  var id = p.from_row + i;
  if (p.listed == 1u) { id = ids[i]; }
  id -= p.first; // wraps around below first
  if (p.only == 1u && id >= p.v) { return; }
  let width = p.d / 4u;
  for (var c = lid % LANES; c < width; c += LANES) {
    var value = vec4f(0.0);
    if (id < p.v) { value = scales[id] * packed4(id * width + c); }
    x[i * width + c] = value;
  }
}
// @use group_index, packed4
