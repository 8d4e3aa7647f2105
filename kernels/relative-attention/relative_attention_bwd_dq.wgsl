// relative_attention_bwd_dq: dq_i = [dq_i +] scale · Σ_j ds_ij k_j, with the scores s of relative_attention_fwd and
//   softmax: ds_ij = P_ij (keep_ij · dout_i·v_j − stats_i.y), P_ij = exp(s_ij − stats_i.x); where exp loses a NaN, stats_i.y has it
//   SILU:    ds_ij = inverse · silu′(s_ij) · keep_ij · dout_i·v_j
// and the row's share of the bias' gradient: partial[h, slot, i] = Σ_j ds_ij over the j with that slot. Rows are added up
// afterwards in a fixed order: no atomics, the same bits every time.
// Layout: qkv, dqkv [L, 3HK] as q|k|v (this kernel writes the q columns); dout [L, HK]; spans, bias, stats as in the
// forward; partial [H, width, L] (written where position = 1 or time = 1, zeros included).
// A workgroup owns 64 query rows of one head (grid: ceil(L / 64) × H), a thread one row; tiles of TILE keys go through
// workgroup memory (2 · TILE · K floats ≤ 16,000 bytes). Adds to dqkv where acc = 1, else overwrites it.
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
@group(0) @binding(8) var<storage, read_write> partial: array<f32>;

const K: u32 = 32; // @tune
const SILU: bool = false; // @tune
const K4: u32 = K / 4u;
const TILE: u32 = min(32u, 1984u / K);

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
  if (lid == 0u) {
    var r = min(row0 + 64u, p.l) - 1u;
    while (r > row0 && spans[r] == spans[p.l + r]) { r--; }
    stop = min(p.l, select(spans[p.l + r], min(spans[p.l + r], r + 1u), p.causal == 1u));
  }
  let to = workgroupUniformLoad(&stop);
  let row = head * p.width;
  if ((p.position | p.time) == 1u && i < p.l) {
    for (var b = 0u; b < p.width; b++) { partial[(row + b) * p.l + i] = 0.0; }
  }

  var q: array<vec4f, K4>;
  var g: array<vec4f, K4>;
  var sum: array<vec4f, K4>;
  for (var c = 0u; c < n4; c++) {
    q[c] = qkv[at * 3u * d4 + head * K4 + c] * p.scale;
    g[c] = dout[at * d4 + head * K4 + c];
  }
  var own = vec2f(0.0);
  if (!SILU) { own = stats[head * p.l + at]; }
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
      var dp = vec4f(0.0);
      for (var c = 0u; c < n4; c++) {
        dots += q[c] * keys[b + c];
        dp += g[c] * values[b + c];
      }
      var s = dots.x + dots.y + dots.z + dots.w;
      var near = 0u;
      var when = 0u;
      if (p.position == 1u) {
        near = row + position_slot(i, j);
        s += bias[near];
      }
      if (p.time == 1u) {
        when = row + p.times + time_slot(j > i, own_time, spans[2u * p.l + j]);
        s += bias[when];
      }
      var dw = dp.x + dp.y + dp.z + dp.w;
      if (drop) {
        if (j == low || (j & 1u) == 0u) { keep = attention_keep2(key, p.stream + head, i, j, p.threshold, p.keep_scale); }
        dw *= select(keep.x, keep.y, (j & 1u) == 1u);
      }
      var ds = 0.0;
      if (SILU) { ds = p.inverse * silu_and_slope(s).y * dw; } else { ds = exp(s - own.x) * (dw - own.y); }
      for (var c = 0u; c < n4; c++) { sum[c] += ds * keys[b + c]; }
      if (p.position == 1u) { partial[near * p.l + i] += ds; }
      if (p.time == 1u) { partial[when * p.l + i] += ds; }
    }
  }
  if (i >= p.l) { return; }
  for (var c = 0u; c < n4; c++) {
    let to_c = i * 3u * d4 + head * K4 + c;
    var v = sum[c] * select(p.scale, make_nan(i), beyond);
    if (p.acc == 1u) { v += dqkv[to_c]; }
    dqkv[to_c] = v;
  }
}
// @use attention_keep, attention_bias, nan, state
