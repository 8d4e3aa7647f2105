// attention_bwd_dkv: dv_j = [dv_j +] Σ_i P_ij keep_ij dout_i and dk_j = [dk_j +] scale · Σ_i dS_ij q_i over the queries i
// of j's segment (i ≥ j if causal); P and dS as in attention_bwd_dq. FlashAttention-2 (Dao 2023), algorithm 2.
// Layout: q, kv as in the forward, dkv as kv; start, end [M]: the queries of a key; dout [L, HK]; stats [H, L] of (lse, delta).
// A workgroup owns 64 key rows of one head (grid: ceil(M / 64) × H), a thread one row; tiles of TILE queries go through
// workgroup memory (2 · TILE · (K + 1) floats ≤ 16,384 bytes). Adds to dkv where acc = 1, else overwrites it.
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
@group(0) @binding(8) var<storage, read_write> dkv: array<vec4f>;

const K: u32 = 32; // @tune
const K4: u32 = K / 4u;
const TILE: u32 = min(32u, 1984u / K);

var<workgroup> queries: array<vec4f, TILE * K4>;
var<workgroup> grads: array<vec4f, TILE * K4>;
var<workgroup> row_stats: array<vec2f, TILE>; // lse, delta
var<workgroup> stop: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let d4 = p.heads * K4;
  let n4 = select(p.k / 4u, K4, K <= 64u); // known to the compiler while the rows fit into registers
  let head = wid.y;
  let row0 = wid.x * 64u;
  let j = row0 + lid;
  let at = min(j, p.m - 1u);
  var last = end[at];
  var first = start[at];
  let beyond = j < p.m && last > max(first, p.l); // the queries of the row are not all there: NaN
  last = min(last, p.l);
  if (p.causal == 1u) { first = max(first, j); }
  if (j >= p.m) { first = last; }
  // Queries of the tile: up to the end of the last row's sequence that has queries.
  if (lid == 0u) {
    var r = min(row0 + 64u, p.m) - 1u;
    while (r > row0 && start[r] == end[r]) { r--; }
    stop = min(p.l, select(end[r], 0u, start[r] == end[r]));
  }
  let to = workgroupUniformLoad(&stop);

  var k: array<vec4f, K4>;
  var v: array<vec4f, K4>;
  var dk: array<vec4f, K4>;
  var dv: array<vec4f, K4>;
  for (var c = 0u; c < n4; c++) {
    let own = at * p.kv_row + p.k_col + head * K4 + c;
    k[c] = kv[own] * p.scale;
    v[c] = kv[own + d4];
  }
  let drop = p.dropout == 1u && state[STATE_DROPOUT] != 0u;
  let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  var begin = start[row0];
  if (p.causal == 1u) { begin = row0; }

  for (var i0 = begin; i0 < to; i0 += TILE) {
    workgroupBarrier();
    for (var e = lid; e < TILE * K4; e += 64u) {
      let row = min(i0 + e / K4, p.l - 1u);
      queries[e] = q[row * p.q_row + head * K4 + e % K4];
      grads[e] = dout[row * d4 + head * K4 + e % K4];
    }
    if (lid < TILE) {
      let row = head * p.l + min(i0 + lid, p.l - 1u);
      row_stats[lid] = stats[row];
    }
    workgroupBarrier();
    for (var i = max(i0, first); i < min(i0 + TILE, last); i++) {
      let b = (i - i0) * K4;
      var s = vec4f(0.0);
      var dp = vec4f(0.0);
      for (var c = 0u; c < n4; c++) {
        s += k[c] * queries[b + c];
        dp += v[c] * grads[b + c];
      }
      let lse = row_stats[i - i0].x;
      let prob = or_nan(exp(s.x + s.y + s.z + s.w - lse), lse);
      var keep = 1.0;
      if (drop) {
        let both = attention_keep2(key, p.stream + head, i, j, p.threshold, p.keep_scale);
        keep = select(both.x, both.y, (j & 1u) == 1u);
      }
      let ds = prob * (keep * (dp.x + dp.y + dp.z + dp.w) - row_stats[i - i0].y);
      for (var c = 0u; c < n4; c++) {
        dv[c] += prob * keep * grads[b + c];
        dk[c] += ds * queries[b + c];
      }
    }
  }
  if (j >= p.m) { return; }
  let factor = select(1.0, make_nan(j), beyond);
  for (var c = 0u; c < n4; c++) {
    let to_k = j * p.kv_row + p.k_col + head * K4 + c;
    var x = dk[c] * p.scale * factor;
    var y = dv[c] * factor;
    if (p.acc == 1u) {
      x += dkv[to_k];
      y += dkv[to_k + d4];
    }
    dkv[to_k] = x;
    dkv[to_k + d4] = y;
  }
}
// @use attention_keep, nan, state
