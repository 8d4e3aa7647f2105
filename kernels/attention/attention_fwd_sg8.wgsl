enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_fwd for adapters whose subgroups have exactly 8 lanes (software drivers on AVX2): same formula and layouts as
// attention_fwd_tile. There a load costs far more than arithmetic, so every load feeds as many products as possible.
// A workgroup is one subgroup and owns ROWS query rows of one head (grid: ceil(L / ROWS) × H); a step takes 32 keys.
// Scores: a lane owns 4 of the keys; each lane loads a vec4 of ROWS / 8 of the rows and shares it with the others.
// Output: a lane owns 4 of every 32 columns, and the weights are shared instead. Lane n keeps the softmax state (top)
// of row n of each 8. No workgroup memory.
// NaN: a weight of 0 times NaN is NaN, and exp may lose one, which is why one sum of its arguments serves all rows. A NaN
// in q, k or v reaches all ROWS rows of each workgroup that reads it (keys from the first to the last of its rows' segments,
// rounded out to fours), those of other segments and unused ones too; the tiled variants keep to the segment.
// Host: K % 32 = 0; segments are contiguous and in order, unused rows (start = end) come last; causal only where q and kv are one.
struct Params { l: u32, m: u32, heads: u32, q_row: u32, kv_row: u32, k_col: u32, causal: u32, scale: f32, threshold: u32, keep_scale: f32, stream: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> stats: array<vec2f>;

const K: u32 = 32; // @tune
const DROPOUT: bool = false; // @tune
const ROWS: u32 = 16;
const K4: u32 = K / 4u;
const EIGHTS: u32 = ROWS / 8u;
const BLOCKS: u32 = K / 32u;
const NONE: f32 = -3e38;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let d4 = p.heads * K4;
  let head = wid.y;
  let row0 = wid.x * ROWS;
  var first: array<u32, EIGHTS>;
  var count: array<u32, EIGHTS>;
  var factor: array<f32, EIGHTS>; // 1, or NaN where the keys of the row are not all there
  var q_at: array<u32, EIGHTS>;
  var low = 0xffffffffu;
  var high = 0u;
  for (var e = 0u; e < EIGHTS; e++) {
    let i = row0 + e * 8u + lane;
    let at = min(i, p.l - 1u);
    q_at[e] = at * p.q_row + head * K4;
    first[e] = start[at];
    var last = end[at];
    factor[e] = select(1.0, make_nan(i), last > max(first[e], p.m));
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

  var top: array<f32, EIGHTS>; // of row 8e + lane
  var total: array<f32, ROWS>; // this lane's keys
  var sum: array<vec4f, ROWS * BLOCKS>;
  var below = vec4f(); // Σ (score − top) of all rows
  for (var e = 0u; e < EIGHTS; e++) { top[e] = -1e38; }

  for (var j0 = begin; j0 < to; j0 += 32u) {
    let j = j0 + lane * 4u;
    let k_at = min(vec4u(j, j + 1u, j + 2u, j + 3u), vec4u(p.m - 1u)) * p.kv_row + p.k_col + head * K4;
    // With an explicit value: in a loop, Dawn on Vulkan does not clear a variable declared without one again.
    var s = array<vec4f, ROWS>();
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
      var most: array<f32, 8>;
      for (var r = 0u; r < 8u; r++) {
        let offset = vec4u(j, j + 1u, j + 2u, j + 3u) - subgroupShuffle(first[e], r);
        let x = select(vec4f(NONE), s[e * 8u + r], offset < vec4u(subgroupShuffle(count[e], r)));
        s[e * 8u + r] = x;
        most[r] = max(max(x.x, x.y), max(x.z, x.w));
      }
      let next = max(top[e], attention_max8(most, lane));
      let shrink = exp(top[e] - next);
      top[e] = next;
      for (var r = 0u; r < 8u; r++) {
        let d = s[e * 8u + r] - subgroupShuffle(next, r);
        let x = exp(d);
        below += d;
        let less = subgroupShuffle(shrink, r);
        s[e * 8u + r] = x;
        total[e * 8u + r] = total[e * 8u + r] * less + (x.x + x.y + x.z + x.w);
        for (var b = 0u; b < BLOCKS; b++) { sum[b * ROWS + e * 8u + r] *= less; }
      }
    }
    if (DROPOUT) {
      if (state[STATE_DROPOUT] != 0u) {
        let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
        for (var e = 0u; e < EIGHTS; e++) {
          let bits = attention_keep_bits(key, p.stream + head, row0 + e * 8u, j, p.threshold);
          for (var r = 0u; r < 8u; r++) { s[e * 8u + r] *= attention_keep4(bits, r, p.keep_scale); }
        }
      }
    }
    let steps = min(8u, (to - j0 + 3u) / 4u);
    for (var b = 0u; b < BLOCKS; b++) {
      let v_at = p.k_col + d4 + head * K4 + b * 8u + lane;
      for (var step = 0u; step < steps; step++) {
        let i = j0 + step * 4u;
        let v0 = kv[min(i, p.m - 1u) * p.kv_row + v_at];
        let v1 = kv[min(i + 1u, p.m - 1u) * p.kv_row + v_at];
        let v2 = kv[min(i + 2u, p.m - 1u) * p.kv_row + v_at];
        let v3 = kv[min(i + 3u, p.m - 1u) * p.kv_row + v_at];
        for (var r = 0u; r < ROWS; r++) {
          let x = subgroupShuffle(s[r], step);
          sum[b * ROWS + r] += x.x * v0 + x.y * v1 + x.z * v2 + x.w * v3;
        }
      }
    }
  }

  for (var e = 0u; e < EIGHTS; e++) {
    let i0 = row0 + e * 8u;
    var own = 1.0;
    for (var r = 0u; r < 8u; r++) {
      let all = subgroupAdd(or_nan(total[e * 8u + r], below.x + below.y + below.z + below.w));
      if (r == lane) { own = all; }
    }
    let some = count[e] > 0u;
    if (i0 + lane < p.l) { stats[head * p.l + i0 + lane] = vec2f(select(0.0, or_nan(top[e] + log(own), own), some) * factor[e], 0.0); }
    let inverse = select(0.0, 1.0 / own, some) * factor[e];
    // A store costs much code: one in a loop that is not unrolled, over values in memory.
    var part: array<vec4f, 8 * BLOCKS>;
    for (var r = 0u; r < 8u; r++) {
      for (var b = 0u; b < BLOCKS; b++) { part[r * BLOCKS + b] = sum[b * ROWS + e * 8u + r]; }
    }
    let stores = min(8u, max(p.l, i0) - i0) * BLOCKS + (p.heads >> 31u);
    for (var n = 0u; n < stores; n++) {
      let r = n / BLOCKS;
      o[(i0 + r) * d4 + head * K4 + n % BLOCKS * 8u + lane] = part[n] * subgroupShuffle(inverse, r);
    }
  }
}
// @use attention_sg8, attention_keep, nan, state
