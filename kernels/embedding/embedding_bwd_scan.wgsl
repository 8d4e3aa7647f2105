// embedding_bwd_scan: dtable[id] += Σ over the positions i with that id, in order, of dx[i] · mask[i]: embedding_bwd without
// groups, for ids that the device alone knows.
// Rows outside of [first, first + V), which dtable holds, are passed over.
// Layout: dtable [V, D], dx [L, D], ids [L]; state [16]. A workgroup of 64 owns a position: it returns where an earlier one has
// the same id, otherwise it looks at 64 positions at a time from its own on, and a thread adds up every 64th column of those
// with its id. 12 bytes of workgroup memory. Any D. Reads L ids a position: L² altogether.
struct Params { rows: u32, d: u32, v: u32, first: u32, dropout: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;

// Bit k: position base + k has the id.
var<workgroup> found: array<atomic<u32>, 2>;
var<workgroup> earlier: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid);
  if (i >= p.rows) { return; }
  let id = ids[i];
  let row = id - p.first; // wraps around below first
  if (row >= p.v) { return; }
  for (var j = lid; j < i; j += 64u) {
    if (ids[j] == id) { atomicOr(&found[0], 1u); break; }
  }
  workgroupBarrier();
  if (lid == 0u) { earlier = atomicLoad(&found[0]); }
  if (workgroupUniformLoad(&earlier) != 0u) { return; }
  var key = vec2u(0u);
  var masked = false;
  if (p.dropout == 1u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  for (var base = i; base < p.rows; base += 64u) {
    let j = base + lid;
    if (j < p.rows && ids[j] == id) { atomicOr(&found[lid >> 5u], 1u << (lid & 31u)); }
    workgroupBarrier();
    let words = vec2u(atomicLoad(&found[0]), atomicLoad(&found[1]));
    for (var c = lid; c < p.d; c += 64u) {
      var sum = f32(0.0);
      for (var w = 0u; w < 2u; w++) {
        for (var bits = select(words.x, words.y, w == 1u); bits != 0u; bits &= bits - 1u) {
          let e = (base + 32u * w + firstTrailingBit(bits)) * p.d + c;
          var g = dx[e];
          if (masked) { g *= keep1(key, p.op, e, p.threshold, p.scale); }
          sum += g;
        }
      }
      dtable[row * p.d + c] += sum;
    }
    workgroupBarrier();
    if (lid < 2u) { atomicStore(&found[lid], 0u); }
    workgroupBarrier();
  }
}
// @use group_index, keep, state
