// relative_attention_fwd: s_ij = scale · q_i·k_j + bias[h, position slot] + bias[h, time slot] over j in [start_i, end_i)
// (j ≤ i if causal). Softmax: o_i = Σ_j P_ij keep_ij v_j, P = softmax(s), and stats = (logsumexp, 0). SILU (HSTU, Zhai et
// al. 2024, eq. 2): o_i = inverse · Σ_j silu(s_ij) keep_ij v_j, stats unused. Slots: kernels/lib/attention_bias.wgsl.
// Layout: qkv [L, 3HK] as q|k|v, each H heads of K columns; spans: start [L], end [L], and where time = 1 the times
// of the keys [L] and of the queries [L]; bias
// [H, width], position slots before time slots; o [L, HK]; stats [H, L] of 2; state: device words.
// A workgroup owns 64 query rows of one head (grid: ceil(L / 64) × H), a thread one row; tiles of TILE keys go through
// workgroup memory (2 · TILE · K floats ≤ 16,000 bytes). Rows without keys get o = 0 and stats = 0.
// Host: K % 4 = 0, K ≤ 128; sequences are contiguous and in order, unused rows (start = end) come last.
struct Params { l: u32, heads: u32, k: u32, causal: u32, position: u32, time: u32, dropout: u32, scale: f32, inverse: f32, width: u32, times: u32, threshold: u32, keep_scale: f32, stream: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> spans: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> stats: array<vec2f>;

const K: u32 = 32; // @tune
const SILU: bool = false; // @tune
const K4: u32 = K / 4u;
const TILE: u32 = min(32u, 1984u / K);
const NONE: f32 = -3e38;

var<workgroup> keys: array<vec4f, TILE * K4>;
var<workgroup> values: array<vec4f, TILE * K4>;
var<workgroup> stop: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let d4 = p.heads * K4;
  let n4 = select(p.k / 4u, K4, K <= 16u); // unrolled for narrow heads only: wider ones take minutes to compile on lavapipe
  let head = wid.y;
  let row0 = wid.x * 64u;
  let i = row0 + lid;
  let at = min(i, p.l - 1u);
  let first = spans[at];
  var last = spans[p.l + at];
  if (i >= p.l) { last = first; }
  let beyond = last > max(first, p.l); // the keys of the row are not all there: NaN
  last = min(last, p.l);
  if (p.causal == 1u) { last = min(last, i + 1u); }
  var own_time = 0u;
  if (p.time == 1u) { own_time = spans[3u * p.l + at]; }
  // Keys of the tile: from the first row's start to the end of the last row that has keys.
  if (lid == 0u) {
    var r = min(row0 + 64u, p.l) - 1u;
    while (r > row0 && spans[r] == spans[p.l + r]) { r--; }
    stop = min(p.l, select(spans[p.l + r], min(spans[p.l + r], r + 1u), p.causal == 1u));
  }
  let to = workgroupUniformLoad(&stop);

  var q: array<vec4f, K4>;
  var sum: array<vec4f, K4>;
  for (var c = 0u; c < n4; c++) { q[c] = qkv[at * 3u * d4 + head * K4 + c] * p.scale; }
  var top = NONE;
  var total = 0.0;
  var below = 0.0;
  let drop = p.dropout == 1u && state[STATE_DROPOUT] != 0u;
  let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  var keep = vec2f(1.0);

  for (var j0 = spans[row0]; j0 < to; j0 += TILE) {
    workgroupBarrier();
    for (var e = lid; e < TILE * K4; e += 64u) {
      let source = min(j0 + e / K4, p.l - 1u) * 3u * d4 + head * K4 + e % K4;
      keys[e] = qkv[source + d4];
      values[e] = qkv[source + 2u * d4];
    }
    workgroupBarrier();
    let low = max(j0, first);
    for (var j = low; j < min(j0 + TILE, last); j++) {
      let b = (j - j0) * K4;
      var dots = vec4f(0.0);
      for (var c = 0u; c < n4; c++) { dots += q[c] * keys[b + c]; }
      var s = dots.x + dots.y + dots.z + dots.w;
      if (p.position == 1u) { s += bias[head * p.width + position_slot(i, j)]; }
      if (p.time == 1u) { s += bias[head * p.width + p.times + time_slot(j > i, own_time, spans[2u * p.l + j])]; }
      var w = 0.0;
      if (SILU) { w = silu_and_slope(s).x; }
      else {
        if (s > top) {
          let shrink = exp(top - s);
          total *= shrink;
          for (var c = 0u; c < n4; c++) { sum[c] *= shrink; }
          top = s;
        }
        let d = s - top;
        w = exp(d);
        total += w;
        below += d;
      }
      if (drop) {
        if (j == low || (j & 1u) == 0u) { keep = attention_keep2(key, p.stream + head, i, j, p.threshold, p.keep_scale); }
        w *= select(keep.x, keep.y, (j & 1u) == 1u);
      }
      for (var c = 0u; c < n4; c++) { sum[c] += w * values[b + c]; }
    }
  }
  if (i >= p.l) { return; }
  let some = last > first;
  var factor = p.inverse;
  var lse = 0.0;
  if (!SILU) {
    total = or_nan(total, below);
    factor = select(0.0, 1.0 / total, some);
    lse = select(0.0, or_nan(top + log(total), total), some);
  }
  if (beyond) {
    factor = make_nan(i);
    lse = make_nan(i);
  }
  if (!SILU) { stats[head * p.l + i] = vec2f(lse, 0.0); }
  for (var c = 0u; c < n4; c++) { o[i * d4 + head * K4 + c] = sum[c] * factor; }
}
// @use attention_keep, attention_bias, nan, state
