// embedding_bwd: dtable[row] += Σ over a segment's positions i, in order, of dx[i] · mask[i]; the sum of a segment with a
// slot goes to partial[slot] instead (embedding_bwd_split adds those up).
// Rows outside of [first, first + V), which dtable holds, are passed over.
// Layout: dtable [V, D], dx [L, D], partial [slots, D]; groups as engine/rows.ts packs them; state [16].
// LANES threads own a segment, a thread every LANES-th vec4 of its row; a workgroup 64 / LANES segments; surplus groups
// return. No workgroup memory. Host: D % 4 = 0. A row is one segment's or its slots': nobody else adds to it.
struct Params { rows: u32, d: u32, v: u32, first: u32, segments: u32, positions: u32, dropout: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> dx: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dtable: array<vec4f>;

const LANES: u32 = 16; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let s = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (s >= groups[0]) { return; }
  let width = p.d / 4u;
  let at = p.segments + 4u * s;
  let row = groups[at] - p.first; // wraps around below first
  if (row >= p.v) { return; }
  let begin = p.positions + groups[at + 1u];
  let end = p.positions + groups[at + 2u];
  let slot = groups[at + 3u];
  var key = vec2u(0u);
  var masked = false;
  if (p.dropout == 1u) {
    masked = state[5] != 0u;
    key = vec2u(state[0], state[1]);
  }
  for (var c = lid % LANES; c < width; c += LANES) {
    var sum = vec4f(0.0);
    for (var j = begin; j < end; j++) {
      let e = groups[j] * width + c;
      var g = dx[e];
      if (masked) { g *= keep4(key, p.op, e, p.threshold, p.scale); }
      sum += g;
    }
    if (slot == 0xffffffffu) { dtable[row * width + c] += sum; } else { partial[slot * width + c] = sum; }
  }
}
// @use group_index, keep
