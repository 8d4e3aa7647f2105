// attention_fwd: o_i = Σ_j P_ij keep_ij v_j, P = softmax(scale · q kᵀ) over j in [start_i, end_i) (j ≤ i if causal);
// lse_i = log Σ_j exp(scale · q_i·k_j). FlashAttention-2 (Dao 2023), algorithm 1.
// Layout: q [L, ·], H heads of K columns, rows q_row vec4 apart; kv [M, ·], rows kv_row apart, k from column k_col on, v HK
// columns further (self-attention: both are q|k|v, [L, 3HK]); start, end [L]: the keys of a query; o [L, HK];
// stats [H, L] of (lse, 0); state: device words.
// A workgroup owns 64 query rows of one head (grid: ceil(L / 64) × H), a thread one row; tiles of TILE keys go through
// workgroup memory (2 · TILE · K floats ≤ 16,000 bytes). Rows without keys get o = 0 and lse = 0.
// Host: K % 4 = 0, K ≤ 128; segments are contiguous and in order, unused rows (start = end) come last; causal only where q and kv are one.
struct Params { l: u32, m: u32, heads: u32, q_row: u32, kv_row: u32, k_col: u32, k: u32, causal: u32, dropout: u32, scale: f32, threshold: u32, keep_scale: f32, stream: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> stats: array<vec2f>;

const K: u32 = 32; // @tune
const K4: u32 = K / 4u;
const TILE: u32 = min(32u, 1984u / K);
const NONE: f32 = -3e38;

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
  var sum: array<vec4f, K4>;
  for (var c = 0u; c < n4; c++) { row[c] = q[at * p.q_row + head * K4 + c] * p.scale; }
  var top = NONE;
  var total = 0.0;
  var below = 0.0;
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
      var dots = vec4f(0.0);
      for (var c = 0u; c < n4; c++) { dots += row[c] * keys[b + c]; }
      let s = dots.x + dots.y + dots.z + dots.w;
      if (s > top) {
        let shrink = exp(top - s);
        total *= shrink;
        for (var c = 0u; c < n4; c++) { sum[c] *= shrink; }
        top = s;
      }
      let d = s - top;
      var w = exp(d);
      total += w;
      below += d;
      if (drop) {
        if (j == low || (j & 1u) == 0u) { keep = attention_keep2(key, p.stream + head, i, j, p.threshold, p.keep_scale); }
        w *= select(keep.x, keep.y, (j & 1u) == 1u);
      }
      for (var c = 0u; c < n4; c++) { sum[c] += w * values[b + c]; }
    }
  }
  if (i >= p.l) { return; }
  let some = last > first;
  total = or_nan(total, below);
  var inverse = select(0.0, 1.0 / total, some);
  var lse = select(0.0, or_nan(top + log(total), total), some);
  if (beyond) {
    inverse = make_nan(i);
    lse = make_nan(i);
  }
  for (var c = 0u; c < n4; c++) { o[i * d4 + head * K4 + c] = sum[c] * inverse; }
  stats[head * p.l + i] = vec2f(lse, 0.0);
}
// @use attention_keep, nan, state
