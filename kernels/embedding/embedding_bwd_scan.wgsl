// embedding_bwd_scan: dtable[id] += Σ over the positions i with that id, in order, of dx[i] · mask[i]: embedding_bwd without
// groups, for ids that the device alone knows.
// Rows outside of [first, first + V), which dtable holds, are passed over.
// Layout: dtable [V, D], dx [L, D], ids [L]; state [16]. A thread owns a column of a position, a workgroup 64 of them: it
// returns where an earlier position has the same id, otherwise it adds up those from its own on. No workgroup memory. Any D.
// Threads beside each other read the same ids, L at most: L² · D / 64 reads of a workgroup altogether.
struct Params { rows: u32, d: u32, v: u32, first: u32, dropout: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let own = group_index(wid, grid) * 64u + lid;
  let i = own / p.d;
  if (i >= p.rows) { return; }
  let id = ids[i];
  let row = id - p.first; // wraps around below first
  if (row >= p.v) { return; }
  for (var j = 0u; j < i; j++) {
    if (ids[j] == id) { return; }
  }
  var key = vec2u(0u);
  var masked = false;
  if (p.dropout == 1u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  let c = own % p.d;
  var sum = f32(0.0);
  for (var j = i; j < p.rows; j++) {
    if (ids[j] == id) {
      let e = j * p.d + c;
      var g = dx[e];
      if (masked) { g *= keep1(key, p.op, e, p.threshold, p.scale); }
      sum += g;
    }
  }
  dtable[row * p.d + c] += sum;
}
// @use group_index, keep, state
