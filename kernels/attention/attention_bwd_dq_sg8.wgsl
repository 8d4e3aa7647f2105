enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_bwd_dq for adapters whose subgroups have exactly 8 lanes (software drivers on AVX2): same formula and layouts
// as attention_bwd_dq_tile. There a load costs far more than arithmetic: every load feeds as many products as possible.
// A workgroup is one subgroup and owns ROWS query rows of one head (grid: ceil(L / ROWS) × H); a step takes 32 keys.
// S and dP: a lane owns 4 of the keys; each lane loads a vec4 of ROWS / 8 of the rows and shares it with the others.
// dq: a lane owns 4 of every 32 columns, and dS is shared instead. No workgroup memory.
// NaN: a weight of 0 times NaN is NaN: one in k or v reaches all ROWS rows of each workgroup that reads it (keys from the
// first to the last of its rows' segments, rounded out to fours), those of other segments and unused ones too; the tiled
// variants keep to the segment. Where exp loses a NaN, delta, of the output that it made NaN, has it.
// Host: K % 32 = 0; segments are contiguous and in order, unused rows (start = end) come last; causal only where q and kv are one.
struct Params { l: u32, m: u32, heads: u32, q_row: u32, kv_row: u32, k_col: u32, causal: u32, scale: f32, threshold: u32, keep_scale: f32, stream: u32, acc: u32 }
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
const DROPOUT: bool = false; // @tune
const ROWS: u32 = 8; // as attention_pick has them
const K4: u32 = K / 4u;
const EIGHTS: u32 = ROWS / 8u;
const BLOCKS: u32 = K / 32u;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let d4 = p.heads * K4;
  let head = wid.y;
  let row0 = wid.x * ROWS;
  var first: array<u32, EIGHTS>;
  var count: array<u32, EIGHTS>;
  var factor: array<f32, EIGHTS>; // NaN where the keys of the row are not all there
  var q_at: array<u32, EIGHTS>;
  var g_at: array<u32, EIGHTS>;
  var log_sum: array<f32, EIGHTS>;
  var own_delta: array<f32, EIGHTS>;
  var low = 0xffffffffu;
  var high = 0u;
  for (var e = 0u; e < EIGHTS; e++) {
    let i = row0 + e * 8u + lane;
    let at = min(i, p.l - 1u);
    q_at[e] = at * p.q_row + head * K4;
    g_at[e] = at * d4 + head * K4;
    let stat = stats[head * p.l + at];
    log_sum[e] = stat.x;
    own_delta[e] = stat.y;
    first[e] = start[at];
    var last = end[at];
    factor[e] = select(p.scale, make_nan(i), last > max(first[e], p.m));
    last = min(last, p.m);
    if (p.causal == 1u) { last = min(last, i + 1u); }
    count[e] = select(0u, last - first[e], i < p.l && last > first[e]);
    if (count[e] > 0u) {
      low = min(low, first[e]);
      high = max(high, last);
    }
  }
  let begin = subgroupMin(low) & 0xfffffffcu;
  let to = subgroupMax(high);
  var sum: array<vec4f, ROWS * BLOCKS>;

  for (var j0 = begin; j0 < to; j0 += 32u) {
    let j = j0 + lane * 4u;
    let js = vec4u(j, j + 1u, j + 2u, j + 3u);
    let k_at = min(js, vec4u(p.m - 1u)) * p.kv_row + p.k_col + head * K4;
    let v_at = k_at + d4;
    // With an explicit value: in a loop, Dawn on Vulkan does not clear a variable declared without one again.
    var s = array<vec4f, ROWS>(); // scores, then probabilities
    var ds = array<vec4f, ROWS>(); // dP, then dS
    for (var c = 0u; c < K4; c++) {
      let t0 = kv[k_at.x + c];
      let t1 = kv[k_at.y + c];
      let t2 = kv[k_at.z + c];
      let t3 = kv[k_at.w + c];
      let b0 = vec4f(t0.x, t1.x, t2.x, t3.x);
      let b1 = vec4f(t0.y, t1.y, t2.y, t3.y);
      let b2 = vec4f(t0.z, t1.z, t2.z, t3.z);
      let b3 = vec4f(t0.w, t1.w, t2.w, t3.w);
      for (var e = 0u; e < EIGHTS; e++) {
        let a = q[q_at[e] + c] * p.scale;
        for (var r = 0u; r < 8u; r++) {
          let x = subgroupShuffle(a, r);
          s[e * 8u + r] += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
        }
      }
    }
    for (var e = 0u; e < EIGHTS; e++) {
      for (var r = 0u; r < 8u; r++) {
        let inside = js - subgroupShuffle(first[e], r) < vec4u(subgroupShuffle(count[e], r));
        s[e * 8u + r] = select(vec4f(0.0), exp(s[e * 8u + r] - subgroupShuffle(log_sum[e], r)), inside);
      }
    }
    for (var c = 0u; c < K4; c++) {
      let t0 = kv[v_at.x + c];
      let t1 = kv[v_at.y + c];
      let t2 = kv[v_at.z + c];
      let t3 = kv[v_at.w + c];
      let b0 = vec4f(t0.x, t1.x, t2.x, t3.x);
      let b1 = vec4f(t0.y, t1.y, t2.y, t3.y);
      let b2 = vec4f(t0.z, t1.z, t2.z, t3.z);
      let b3 = vec4f(t0.w, t1.w, t2.w, t3.w);
      for (var e = 0u; e < EIGHTS; e++) {
        let a = dout[g_at[e] + c];
        for (var r = 0u; r < 8u; r++) {
          let x = subgroupShuffle(a, r);
          ds[e * 8u + r] += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
        }
      }
    }
    if (DROPOUT) {
      if (state[STATE_DROPOUT] != 0u) {
        let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
        for (var e = 0u; e < EIGHTS; e++) {
          let bits = attention_keep_bits(key, p.stream + head, row0 + e * 8u, j, p.threshold);
          for (var r = 0u; r < 8u; r++) { ds[e * 8u + r] *= attention_keep4(bits, r, p.keep_scale); }
        }
      }
    }
    for (var e = 0u; e < EIGHTS; e++) {
      for (var r = 0u; r < 8u; r++) {
        ds[e * 8u + r] = s[e * 8u + r] * (ds[e * 8u + r] - subgroupShuffle(own_delta[e], r));
      }
    }
    let steps = min(8u, (to - j0 + 3u) / 4u);
    for (var b = 0u; b < BLOCKS; b++) {
      let column = p.k_col + head * K4 + b * 8u + lane;
      for (var step = 0u; step < steps; step++) {
        let n = j0 + step * 4u;
        let t0 = kv[min(n, p.m - 1u) * p.kv_row + column];
        let t1 = kv[min(n + 1u, p.m - 1u) * p.kv_row + column];
        let t2 = kv[min(n + 2u, p.m - 1u) * p.kv_row + column];
        let t3 = kv[min(n + 3u, p.m - 1u) * p.kv_row + column];
        for (var r = 0u; r < ROWS; r++) {
          let x = subgroupShuffle(ds[r], step);
          sum[b * ROWS + r] += x.x * t0 + x.y * t1 + x.z * t2 + x.w * t3;
        }
      }
    }
  }

  // A store costs much code: one in a loop that is not unrolled, over values in memory.
  var part: array<vec4f, ROWS * BLOCKS>;
  for (var r = 0u; r < ROWS; r++) {
    for (var b = 0u; b < BLOCKS; b++) { part[r * BLOCKS + b] = sum[b * ROWS + r]; }
  }
  let stores = min(ROWS, p.l - row0) * BLOCKS + (p.heads >> 31u);
  for (var n = 0u; n < stores; n++) {
    let r = n / BLOCKS;
    let at = (row0 + r) * p.q_row + head * K4 + n % BLOCKS * 8u + lane;
    var x = part[n] * subgroupShuffle(factor[0], r);
    if (p.acc == 1u) { x += dq[at]; }
    dq[at] = x;
  }
}
// @use attention_keep, nan, state
