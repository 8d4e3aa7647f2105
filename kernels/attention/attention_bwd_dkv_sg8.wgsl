enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_bwd_dkv for adapters whose subgroups have exactly 8 lanes (software drivers on AVX2): same formula and layouts
// as attention_bwd_dkv_tile. There a load costs far more than arithmetic: every load feeds as many products as possible.
// A workgroup is one subgroup and owns ROWS key rows of one head (grid: ceil(M / ROWS) × H); a step takes 32 queries.
// Sᵀ and dPᵀ: a lane owns 4 of the queries; each lane loads a vec4 of ROWS / 8 of the rows and shares it with the others.
// dk and dv: a lane owns 4 of every 32 columns, and dSᵀ and Pᵀ are shared instead. No workgroup memory.
// NaN: a weight of 0 times NaN is NaN: one in a query, its dout or its stats reaches all ROWS rows of each workgroup that
// reads it (queries from the first to the last of its rows' segments, rounded out to fours), those of other segments and
// unused ones too; the tiled variants keep to the segment.
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
@group(0) @binding(8) var<storage, read_write> dkv: array<vec4f>;

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
  var first: array<u32, EIGHTS>; // the first query that attends to the row, and how many do
  var count: array<u32, EIGHTS>;
  var factor: array<f32, EIGHTS>; // 1, or NaN where the queries of the row are not all there
  var k_at: array<u32, EIGHTS>;
  var v_at: array<u32, EIGHTS>;
  var low = 0xffffffffu;
  var high = 0u;
  for (var e = 0u; e < EIGHTS; e++) {
    let j = row0 + e * 8u + lane;
    let at = min(j, p.m - 1u);
    k_at[e] = at * p.kv_row + p.k_col + head * K4;
    v_at[e] = k_at[e] + d4;
    first[e] = start[at];
    var last = end[at];
    factor[e] = select(1.0, make_nan(j), last > max(first[e], p.l));
    last = min(last, p.l);
    if (p.causal == 1u) { first[e] = max(first[e], j); }
    count[e] = select(0u, last - first[e], j < p.m && last > first[e]);
    if (count[e] > 0u) {
      low = min(low, first[e]);
      high = max(high, last);
    }
  }
  let begin = subgroupMin(low);
  let to = subgroupMax(high);
  var dk: array<vec4f, ROWS * BLOCKS>;
  var dv: array<vec4f, ROWS * BLOCKS>;

  for (var i0 = begin; i0 < to; i0 += 32u) {
    let i = i0 + lane * 4u;
    let is = vec4u(i, i + 1u, i + 2u, i + 3u);
    let rows = min(is, vec4u(p.l - 1u));
    let q_at = rows * p.q_row + head * K4;
    let g_at = rows * d4 + head * K4;
    let stat = rows + head * p.l;
    let stat0 = stats[stat.x];
    let stat1 = stats[stat.y];
    let stat2 = stats[stat.z];
    let stat3 = stats[stat.w];
    let log_sum = vec4f(stat0.x, stat1.x, stat2.x, stat3.x);
    let intact = or_nan4(vec4f(1.0), log_sum); // exp may lose a NaN
    let deltas = vec4f(stat0.y, stat1.y, stat2.y, stat3.y);
    // With an explicit value: in a loop, Dawn on Vulkan does not clear a variable declared without one again.
    var s = array<vec4f, ROWS>(); // scores, then probabilities, then those that dropout left
    var ds = array<vec4f, ROWS>(); // dP, then dS
    for (var c = 0u; c < K4; c++) {
      let t0 = q[q_at.x + c];
      let t1 = q[q_at.y + c];
      let t2 = q[q_at.z + c];
      let t3 = q[q_at.w + c];
      let b0 = vec4f(t0.x, t1.x, t2.x, t3.x);
      let b1 = vec4f(t0.y, t1.y, t2.y, t3.y);
      let b2 = vec4f(t0.z, t1.z, t2.z, t3.z);
      let b3 = vec4f(t0.w, t1.w, t2.w, t3.w);
      for (var e = 0u; e < EIGHTS; e++) {
        let a = kv[k_at[e] + c] * p.scale;
        for (var r = 0u; r < 8u; r++) {
          let x = subgroupShuffle(a, r);
          s[e * 8u + r] += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
        }
      }
    }
    for (var e = 0u; e < EIGHTS; e++) {
      for (var r = 0u; r < 8u; r++) {
        let inside = is - subgroupShuffle(first[e], r) < vec4u(subgroupShuffle(count[e], r));
        s[e * 8u + r] = select(vec4f(0.0), intact * exp(s[e * 8u + r] - log_sum), inside);
      }
    }
    for (var c = 0u; c < K4; c++) {
      let t0 = dout[g_at.x + c];
      let t1 = dout[g_at.y + c];
      let t2 = dout[g_at.z + c];
      let t3 = dout[g_at.w + c];
      let b0 = vec4f(t0.x, t1.x, t2.x, t3.x);
      let b1 = vec4f(t0.y, t1.y, t2.y, t3.y);
      let b2 = vec4f(t0.z, t1.z, t2.z, t3.z);
      let b3 = vec4f(t0.w, t1.w, t2.w, t3.w);
      for (var e = 0u; e < EIGHTS; e++) {
        let a = kv[v_at[e] + c];
        for (var r = 0u; r < 8u; r++) {
          let x = subgroupShuffle(a, r);
          ds[e * 8u + r] += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
        }
      }
    }
    if (DROPOUT && state[STATE_DROPOUT] != 0u) {
      let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
      for (var e = 0u; e < EIGHTS; e++) {
        let bits = attention_keep_bits_t(key, p.stream + head, i, row0 + e * 8u, p.threshold);
        for (var r = 0u; r < 8u; r++) {
          let keep = attention_keep4(bits, r, p.keep_scale);
          ds[e * 8u + r] = s[e * 8u + r] * (keep * ds[e * 8u + r] - deltas);
          s[e * 8u + r] *= keep;
        }
      }
    } else {
      for (var r = 0u; r < ROWS; r++) { ds[r] = s[r] * (ds[r] - deltas); }
    }
    let steps = min(8u, (to - i0 + 3u) / 4u);
    for (var b = 0u; b < BLOCKS; b++) {
      let column = head * K4 + b * 8u + lane;
      for (var step = 0u; step < steps; step++) {
        let n = i0 + step * 4u;
        let t0 = q[min(n, p.l - 1u) * p.q_row + column];
        let t1 = q[min(n + 1u, p.l - 1u) * p.q_row + column];
        let t2 = q[min(n + 2u, p.l - 1u) * p.q_row + column];
        let t3 = q[min(n + 3u, p.l - 1u) * p.q_row + column];
        for (var r = 0u; r < ROWS; r++) {
          let x = subgroupShuffle(ds[r], step);
          dk[b * ROWS + r] += x.x * t0 + x.y * t1 + x.z * t2 + x.w * t3;
        }
      }
      for (var step = 0u; step < steps; step++) {
        let n = i0 + step * 4u;
        let t0 = dout[min(n, p.l - 1u) * d4 + column];
        let t1 = dout[min(n + 1u, p.l - 1u) * d4 + column];
        let t2 = dout[min(n + 2u, p.l - 1u) * d4 + column];
        let t3 = dout[min(n + 3u, p.l - 1u) * d4 + column];
        for (var r = 0u; r < ROWS; r++) {
          let x = subgroupShuffle(s[r], step);
          dv[b * ROWS + r] += x.x * t0 + x.y * t1 + x.z * t2 + x.w * t3;
        }
      }
    }
  }

  // A store costs much code: one for each in a loop that is not unrolled, over values in memory.
  var part_k: array<vec4f, ROWS * BLOCKS>;
  var part_v: array<vec4f, ROWS * BLOCKS>;
  for (var r = 0u; r < ROWS; r++) {
    for (var b = 0u; b < BLOCKS; b++) {
      part_k[r * BLOCKS + b] = dk[b * ROWS + r];
      part_v[r * BLOCKS + b] = dv[b * ROWS + r];
    }
  }
  let stores = min(ROWS, p.m - row0) * BLOCKS + (p.heads >> 31u);
  for (var n = 0u; n < stores; n++) {
    let r = n / BLOCKS;
    let at = (row0 + r) * p.kv_row + p.k_col + head * K4 + n % BLOCKS * 8u + lane;
    let whole = subgroupShuffle(factor[0], r);
    var x = part_k[n] * p.scale * whole;
    var y = part_v[n] * whole;
    if (p.acc == 1u) {
      x += dkv[at];
      y += dkv[at + d4];
    }
    dkv[at] = x;
    dkv[at + d4] = y;
  }
}
// @use attention_keep, nan, state
