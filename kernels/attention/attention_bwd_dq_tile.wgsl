// attention_bwd_dq: dq_i = [dq_i +] scale · Σ_j dS_ij k_j, dS_ij = P_ij (keep_ij · dout_i·v_j − delta_i),
// P_ij = exp(scale · q_i·k_j − lse_i), j as in the forward. FlashAttention-2 (Dao 2023), algorithm 2.
// Where exp loses a NaN, delta, of the output that it made NaN, has it.
// Layout: q, kv, start, end as in the forward, dq as q; dout [L, HK]; stats [H, L] of (lse, delta).
// A workgroup owns 64 query rows of one head (grid: ceil(L / 64) × H), a thread one row; tiles of TILE keys go through
// workgroup memory (2 · TILE · K floats ≤ 16,000 bytes). Adds to dq where acc = 1, else overwrites it.
// Host: K % 4 = 0, K ≤ 128; segments are contiguous and in order, unused rows (start = end) come last; causal only where q and kv are one.
struct Params { l: u32, m: u32, heads: u32, q_row: u32, kv_row: u32, k_col: u32, k: u32, causal: u32, dropout: u32, scale: f32, threshold: u32, keep_scale: f32, stream: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> dout: array<vec4f>;
@group(0) @binding(4) var<storage, read> stats: array<vec2f>;
@group(0) @binding(5) var<storage, read> start: array<u32>;
@group(0) @binding(6) var<storage, read> end: array<u32>;
@group(0) @binding(7) var<storage, read> state: array<u32>;
@group(0) @binding(8) var<storage, read_write> dq: array<vec4f>;

const K: u32 = 32; // @tune
const K4: u32 = K / 4u;
const TILE: u32 = min(32u, 1984u / K);

var<workgroup> keys: array<vec4f, TILE * K4>;
var<workgroup> values: array<vec4f, TILE * K4>;
var<workgroup> stop: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let d4 = p.heads * K4;
  let n4 = select(p.k / 4u, K4, K <= 64u); // known to the compiler while the rows fit into registers
  let head = wid.y;
  let row0 = wid.x * 64u;
  let i = row0 + lid;
  let at = min(i, p.l - 1u);
  let first = start[at];
  var last = end[at];
  if (i >= p.l) { last = first; }
  let beyond = last > max(first, p.m); // the keys of the row are not all there: NaN
  last = min(last, p.m);
  if (p.causal == 1u) { last = min(last, i + 1u); }
  // Keys of the tile: from the first row's start to the end of the last row that has keys.
  if (lid == 0u) {
    var r = min(row0 + 64u, p.l) - 1u;
    while (r > row0 && start[r] == end[r]) { r--; }
    stop = min(p.m, select(end[r], min(end[r], r + 1u), p.causal == 1u));
  }
  let to = workgroupUniformLoad(&stop);

  var row: array<vec4f, K4>;
  var g: array<vec4f, K4>;
  var sum: array<vec4f, K4>;
  for (var c = 0u; c < n4; c++) {
    row[c] = q[at * p.q_row + head * K4 + c] * p.scale;
    g[c] = dout[at * d4 + head * K4 + c];
  }
  let stat = stats[head * p.l + at]; // lse, delta
  let drop = p.dropout == 1u && state[STATE_DROPOUT] != 0u;
  let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  var keep = vec2f(1.0);

  for (var j0 = start[row0]; j0 < to; j0 += TILE) {
    workgroupBarrier();
    for (var e = lid; e < TILE * K4; e += 64u) {
      let source = min(j0 + e / K4, p.m - 1u) * p.kv_row + p.k_col + head * K4 + e % K4;
      keys[e] = kv[source];
      values[e] = kv[source + d4];
    }
    workgroupBarrier();
    let low = max(j0, first);
    for (var j = low; j < min(j0 + TILE, last); j++) {
      let b = (j - j0) * K4;
      var s = vec4f(0.0);
      var dp = vec4f(0.0);
      for (var c = 0u; c < n4; c++) {
        s += row[c] * keys[b + c];
        dp += g[c] * values[b + c];
      }
      var dprob = dp.x + dp.y + dp.z + dp.w;
      if (drop) {
        if (j == low || (j & 1u) == 0u) { keep = attention_keep2(key, p.stream + head, i, j, p.threshold, p.keep_scale); }
        dprob *= select(keep.x, keep.y, (j & 1u) == 1u);
      }
      let ds = exp(s.x + s.y + s.z + s.w - stat.x) * (dprob - stat.y);
      for (var c = 0u; c < n4; c++) { sum[c] += ds * keys[b + c]; }
    }
  }
  if (i >= p.l) { return; }
  for (var c = 0u; c < n4; c++) {
    let to_c = i * p.q_row + head * K4 + c;
    var v = sum[c] * select(p.scale, make_nan(i), beyond);
    if (p.acc == 1u) { v += dq[to_c]; }
    dq[to_c] = v;
  }
}
// @use attention_keep, nan, state
