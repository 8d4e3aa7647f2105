// embedding_bwd: dtable[row] += Σ over a segment's positions i, in order, of dx[i] · mask[i]; the sum of a segment with a
// slot goes to partial[slot] instead (embedding_bwd_split adds those up).
// Rows outside of [first, first + V), which dtable holds, are passed over. A row gets NaN where one of its positions has
// another id: the groups belong to other ids then, and the gradients to other rows.
// Layout: dtable [V, D], dx [L, D], ids [L], partial [slots, D]; groups as engine/rows.ts packs them; state [16].
// LANES threads own a segment, a thread every LANES-th element of its row; a workgroup 64 / LANES segments; surplus groups
// return. No workgroup memory. Any D. A row is one segment's or its slots': nobody else adds to it.
struct Params { rows: u32, d: u32, v: u32, first: u32, segments: u32, positions: u32, dropout: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;
@group(0) @binding(5) var<storage, read_write> dtable: array<f32>;
@group(0) @binding(6) var<storage, read> ids: array<u32>;

const LANES: u32 = 16; // @tune

fn checked(sum: f32, nan: u32) -> f32 {
  if (nan == 0u) { return sum; }
  return f32(bitcast<f32>(nan));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let s = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (s >= groups[0]) { return; }
  let width = p.d;
  let at = p.segments + 4u * s;
  let id = groups[at];
  let row = id - p.first; // wraps around below first
  if (row >= p.v) { return; }
  let begin = p.positions + groups[at + 1u];
  let end = p.positions + groups[at + 2u];
  let slot = groups[at + 3u];
  var key = vec2u(0u);
  var masked = false;
  if (p.dropout == 1u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  // Each thread that has columns checks its share of the positions.
  let lanes = min(LANES, width);
  var nan = 0u;
  for (var j = begin + lid % LANES; j < end && lid % LANES < lanes; j += lanes) {
    let i = groups[j];
    if (i >= p.rows || ids[i] != id) { nan = 0x7fc00000u; }
  }
  for (var c = lid % LANES; c < width; c += LANES) {
    var sum = f32(0.0);
    for (var j = begin; j < end; j++) {
      let e = groups[j] * width + c;
      var g = dx[e];
      if (masked) { g *= keep1(key, p.op, e, p.threshold, p.scale); }
      sum += g;
    }
    let e = row * width + c;
    if (slot == 0xffffffffu) { dtable[e] = checked(dtable[e] + sum, nan); } else { partial[slot * width + c] = checked(sum, nan); }
  }
}
// @use group_index, keep, state
