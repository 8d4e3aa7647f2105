// relative_attention_bwd_dkv: dv_j = [dv_j +] Σ_i w_ij keep_ij dout_i and dk_j = [dk_j +] scale · Σ_i ds_ij q_i over the
// queries i of j's sequence (i ≥ j if causal); w is P, or inverse · silu(s) where SILU; s, P and ds as in
// relative_attention_bwd_dq.
// Layout: qkv, dqkv [L, 3HK] as q|k|v (this kernel writes the k and v columns); dout [L, HK]; spans, bias, stats as in the
// forward.
// A workgroup owns 64 key rows of one head (grid: ceil(L / 64) × H), a thread one row; tiles of TILE queries go through
// workgroup memory (2 · TILE · (K + 2) floats ≤ 16,384 bytes). Adds to dqkv where acc = 1, else overwrites it.
// Host: K % 4 = 0, K ≤ 128; sequences are contiguous and in order, unused rows (start = end) come last.
struct Params { l: u32, heads: u32, k: u32, causal: u32, position: u32, time: u32, dropout: u32, scale: f32, inverse: f32, width: u32, times: u32, threshold: u32, keep_scale: f32, stream: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> dout: array<vec4f>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>;
@group(0) @binding(4) var<storage, read> spans: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(0) @binding(7) var<storage, read_write> dqkv: array<vec4f>;

const K: u32 = 32; // @tune
const SILU: bool = false; // @tune
const K4: u32 = K / 4u;
const TILE: u32 = min(32u, 1984u / K);

var<workgroup> queries: array<vec4f, TILE * K4>;
var<workgroup> grads: array<vec4f, TILE * K4>;
var<workgroup> rows: array<vec2f, TILE>; // of stats
var<workgroup> stop: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let d4 = p.heads * K4;
  let n4 = select(p.k / 4u, K4, K <= 16u); // unrolled for narrow heads only: wider ones take minutes to compile on lavapipe
  let head = wid.y;
  let row0 = wid.x * 64u;
  let j = row0 + lid;
  let at = min(j, p.l - 1u);
  var last = spans[p.l + at];
  var first = spans[at];
  let beyond = j < p.l && last > max(first, p.l); // the queries of the row are not all there: NaN
  last = min(last, p.l);
  if (p.causal == 1u) { first = max(first, j); }
  if (j >= p.l) { first = last; }
  var own_time = 0u;
  if (p.time == 1u) { own_time = spans[2u * p.l + at]; }
  // Queries of the tile: up to the end of the last row's sequence that has queries.
  if (lid == 0u) {
    var r = min(row0 + 64u, p.l) - 1u;
    while (r > row0 && spans[r] == spans[p.l + r]) { r--; }
    stop = min(p.l, select(spans[p.l + r], 0u, spans[r] == spans[p.l + r]));
  }
  let to = workgroupUniformLoad(&stop);

  var k: array<vec4f, K4>;
  var v: array<vec4f, K4>;
  var dk: array<vec4f, K4>;
  var dv: array<vec4f, K4>;
  for (var c = 0u; c < n4; c++) {
    k[c] = qkv[at * 3u * d4 + d4 + head * K4 + c] * p.scale;
    v[c] = qkv[at * 3u * d4 + 2u * d4 + head * K4 + c];
  }
  let drop = p.dropout == 1u && state[STATE_DROPOUT] != 0u;
  let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  var begin = spans[row0];
  if (p.causal == 1u) { begin = row0; }

  for (var i0 = begin; i0 < to; i0 += TILE) {
    workgroupBarrier();
    for (var e = lid; e < TILE * K4; e += 64u) {
      let row = min(i0 + e / K4, p.l - 1u);
      queries[e] = qkv[row * 3u * d4 + head * K4 + e % K4];
      grads[e] = dout[row * d4 + head * K4 + e % K4];
    }
    if (!SILU && lid < TILE) { rows[lid] = stats[head * p.l + min(i0 + lid, p.l - 1u)]; }
    workgroupBarrier();
    for (var i = max(i0, first); i < min(i0 + TILE, last); i++) {
      let b = (i - i0) * K4;
      var dots = vec4f(0.0);
      var dp = vec4f(0.0);
      for (var c = 0u; c < n4; c++) {
        dots += k[c] * queries[b + c];
        dp += v[c] * grads[b + c];
      }
      var s = dots.x + dots.y + dots.z + dots.w;
      if (p.position == 1u) { s += bias[head * p.width + position_slot(i, j)]; }
      if (p.time == 1u) { s += bias[head * p.width + p.times + time_slot(j > i, spans[3u * p.l + i], own_time)]; }
      var keep = 1.0;
      if (drop) {
        let both = attention_keep2(key, p.stream + head, i, j, p.threshold, p.keep_scale);
        keep = select(both.x, both.y, (j & 1u) == 1u);
      }
      let dw = keep * (dp.x + dp.y + dp.z + dp.w);
      var w = 0.0;
      var ds = 0.0;
      if (SILU) {
        let both = silu_and_slope(s) * p.inverse;
        w = both.x;
        ds = both.y * dw;
      } else {
        w = or_nan(exp(s - rows[i - i0].x), rows[i - i0].x);
        ds = w * (dw - rows[i - i0].y);
      }
      for (var c = 0u; c < n4; c++) {
        dv[c] += w * keep * grads[b + c];
        dk[c] += ds * queries[b + c];
      }
    }
  }
  if (j >= p.l) { return; }
  let factor = select(1.0, make_nan(j), beyond);
  for (var c = 0u; c < n4; c++) {
    let to_k = j * 3u * d4 + d4 + head * K4 + c;
    var x = dk[c] * p.scale * factor;
    var y = dv[c] * factor;
    if (p.acc == 1u) {
      x += dqkv[to_k];
      y += dqkv[to_k + d4];
    }
    dqkv[to_k] = x;
    dqkv[to_k + d4] = y;
  }
}
// @use attention_keep, attention_bias, nan, state
