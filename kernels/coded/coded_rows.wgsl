// coded_rows: x[i] = row ids[i] of a table of codes, or with listed = 0 its row from + i; an id beyond it gives a row of zeros.
// With scaled = 1 row v is multiplied by scales[v].
// Layout: codes [V, M], a byte each, four to a word; parts [256 M, D / M]; scales [V]; ids [rows] (u32); x [rows, D]. Of row v,
// numbers m · D / M and on are row 256 m + codes[v, m] of parts.
// A thread owns a vec4 of x. No workgroup memory. Grid: ⌈rows · D / 256⌉.
// Host: D / M = 4 width. listed = 0 leaves ids unread, scaled = 0 the scales.
struct Params { rows: u32, v: u32, each: u32, width: u32, first: u32, listed: u32, scaled: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> parts: array<vec4f>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read> ids: array<u32>;
@group(0) @binding(5) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let at = group_index(wid, grid) * 64u + lid;
  let row = at / (p.each * p.width);
  if (row >= p.rows) { return; }
  var id = row;
  if (p.listed == 1u) { id = ids[row]; }
  id += p.first; // wraps around where the id is below the table's first
  var value = vec4f(0.0);
  if (id < p.v) {
    let c = at % (p.each * p.width);
    let byte = id * p.each + c / p.width;
    let code = extractBits(codes[byte / 4u], 8u * (byte % 4u), 8u);
    value = parts[(c / p.width * 256u + code) * p.width + c % p.width];
    if (p.scaled == 1u) { value *= scales[id]; }
  }
  x[at] = value;
}
// @use group_index
