// embedding_fwd: x[i] = dropout(table[ids[i]] + second[ids2[i]]); the second table where two = 1; an id beyond its table
// gives a row of zeros. The table is rows [first, first + V) of the whole; with only = 1 rows of x whose id lies outside
// of them are left alone.
// Layout: table [V, D], second [V2, D], ids, ids2 [L] (u32), x [L, D]; state [16]: seed, step, …, 5 dropout on.
// LANES threads own a row of x, a thread every LANES-th vec4 of it; a workgroup 64 / LANES rows. No workgroup memory.
// Host: D % 4 = 0. dropout = 0 leaves state unread, two = 0 leaves second and ids2 unread.
struct Params { rows: u32, d: u32, v: u32, first: u32, only: u32, two: u32, v2: u32, dropout: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4f>;
@group(0) @binding(3) var<storage, read> ids: array<u32>;
@group(0) @binding(4) var<storage, read> second: array<vec4f>;
@group(0) @binding(5) var<storage, read> ids2: array<u32>;
@group(0) @binding(6) var<storage, read_write> x: array<vec4f>;

const LANES: u32 = 16; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (i >= p.rows) { return; }
  let width = p.d / 4u;
  let id = ids[i] - p.first; // wraps around below first
  if (p.only == 1u && id >= p.v) { return; }
  var id2 = 0xffffffffu;
  if (p.two == 1u) { id2 = ids2[i]; }
  var key = vec2u(0u);
  var masked = false;
  if (p.dropout == 1u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  for (var c = lid % LANES; c < width; c += LANES) {
    var sum = vec4f(0.0);
    if (id < p.v) { sum = table[id * width + c]; }
    if (p.two == 1u && id2 < p.v2) { sum += second[id2 * width + c]; }
    if (masked) { sum *= keep4(key, p.op, i * width + c, p.threshold, p.scale); }
    x[i * width + c] = sum;
  }
}
// @use group_index, keep, state
