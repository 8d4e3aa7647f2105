enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_bwd_dq for adapters whose subgroups have exactly 8 lanes (software drivers on AVX2), heads of 32 or 64: same formula
// and layouts as attention_bwd_dq_tile. There a load costs far more than arithmetic: the queries, their dout and dq stay in
// the nearest cache while keys walk past.
// A workgroup is one subgroup and owns 32 query rows of one head (grid: ceil(L / 32) × H). S and dP: a lane owns 4 of the
// queries, of which it holds q and dout transposed, and the numbers of a key's row are shared. dq: a lane owns 4 of every 32
// columns, and dS is shared instead. Arrays are read at constant indices, which is one vector load on lavapipe, but filled at
// running ones, which keeps them in memory. Two keys at once, or wider heads, leave the instruction cache: half as fast as
// attention_bwd_dq_sg8 (heads of 64). No workgroup memory.
// NaN: a weight of 0 times NaN is NaN: one in k or v reaches all 32 rows of each workgroup that reads it (keys from the first
// to the last of its rows' segments, from an even one on), those of other segments and unused ones too; the tiled variants
// keep to the segment. Where exp loses a NaN, delta, of the output that it made NaN, has it.
// Host: K is 32 or 64; segments are contiguous and in order, unused rows (start = end) come last; causal only where q and kv are one.
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

const DROPOUT: bool = false; // @tune
const K: u32 = 32; // @tune
const K4 = K / 4u;
const ROWS = 32u;
const BLOCKS = K / 32u;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let d4 = p.heads * K4;
  let head = wid.y;
  let row0 = wid.x * ROWS;
  let i = row0 + 4u * lane;
  let is = vec4u(i, i + 1u, i + 2u, i + 3u);
  let rows = min(is, vec4u(p.l - 1u));
  let hidden = p.heads >> 31u; // 0, which the compiler does not know: loops that are unrolled are long
  var first: vec4u;
  var last: vec4u;
  var log_sum: vec4f;
  var delta: vec4f;
  var row = rows;
  for (var n = 0u; n < 4u + hidden; n++) {
    let stat = stats[head * p.l + row.x];
    first = vec4u(first.yzw, start[row.x]);
    last = vec4u(last.yzw, end[row.x]);
    log_sum = vec4f(log_sum.yzw, stat.x);
    delta = vec4f(delta.yzw, stat.y);
    row = row.yzwx;
  }
  // the scale, or NaN where the keys of the row are not all there
  let factor = select(vec4f(p.scale), vec4f(make_nan(i)), last > max(first, vec4u(p.m)));
  last = min(last, vec4u(p.m));
  if (p.causal == 1u) { last = min(last, is + 1u); }
  let count = select(vec4u(0u), last - first, (is < vec4u(p.l)) & (last > first));
  let some = count > vec4u(0u);
  let low = select(vec4u(0xffffffffu), first, some);
  let high = select(vec4u(0u), last, some);
  let begin = subgroupMin(min(min(low.x, low.y), min(low.z, low.w))) & 0xfffffffeu;
  let to = subgroupMax(max(max(high.x, high.y), max(high.z, high.w)));
  let turns = K4 + hidden;
  // Arrays of arrays: read at constant outer indices, they are several to the compiler, whose effort grows with the square of each.
  var own: array<array<vec4f, 2 * K4>, 4>; // the lane's four queries, scaled, then their dout: column 4 c + e at [e][c]
  var sums: array<array<vec4f, ROWS>, BLOCKS>; // dq: the lane's columns of every row
  let q_at = rows * p.q_row + head * K4;
  let g_at = rows * d4 + head * K4;
  for (var c = 0u; c < turns; c++) {
    let x = transpose(mat4x4f(q[q_at.x + c], q[q_at.y + c], q[q_at.z + c], q[q_at.w + c]));
    let g = transpose(mat4x4f(dout[g_at.x + c], dout[g_at.y + c], dout[g_at.z + c], dout[g_at.w + c]));
    for (var e = 0u; e < 4u; e++) {
      own[e][c] = x[e] * p.scale;
      own[e][K4 + c] = g[e];
    }
  }

  var keep: mat2x4f; // of the even key and of the odd one: one random number serves both
  for (var j = begin; j < to; j++) {
    var k: array<vec4f, BLOCKS>;
    var v: array<vec4f, BLOCKS>;
    for (var b = 0u; b < BLOCKS; b++) {
      let at = min(j, p.m - 1u) * p.kv_row + p.k_col + head * K4 + b * 8u + lane;
      k[b] = kv[at];
      v[b] = kv[at + d4];
    }
    var kept = vec4f(1.0); // before the products, whose sums would spill where a branch follows them
    if (DROPOUT && state[STATE_DROPOUT] != 0u) {
      if ((j & 1u) == 0u) {
        let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
        let c0 = p.stream + head;
        keep = transpose(mat4x2f(
          attention_keep2(key, c0, i, j, p.threshold, p.keep_scale),
          attention_keep2(key, c0, i + 1u, j, p.threshold, p.keep_scale),
          attention_keep2(key, c0, i + 2u, j, p.threshold, p.keep_scale),
          attention_keep2(key, c0, i + 3u, j, p.threshold, p.keep_scale)));
      } else {
        keep[0] = keep[1];
      }
      kept = keep[0];
    }
    var s = vec4f(); // scores, then probabilities
    var ds = vec4f(); // dP, then dS
    for (var b = 0u; b < BLOCKS; b++) {
      for (var r = 0u; r < 8u; r++) {
        let c = 8u * b + r;
        let x = subgroupShuffle(k[b], r);
        s += x.x * own[0][c] + x.y * own[1][c] + x.z * own[2][c] + x.w * own[3][c];
      }
      for (var r = 0u; r < 8u; r++) {
        let c = 8u * b + r;
        let x = subgroupShuffle(v[b], r);
        ds += x.x * own[0][K4 + c] + x.y * own[1][K4 + c] + x.z * own[2][K4 + c] + x.w * own[3][K4 + c];
      }
    }
    s = select(vec4f(), exp(s - log_sum), vec4u(j) - first < count);
    ds = s * (kept * ds - delta);
    for (var b = 0u; b < BLOCKS; b++) {
      for (var r = 0u; r < 8u; r++) {
        let at = 4u * r;
        let x = subgroupShuffle(ds, r);
        sums[b][at] += x.x * k[b];
        sums[b][at + 1u] += x.y * k[b];
        sums[b][at + 2u] += x.z * k[b];
        sums[b][at + 3u] += x.w * k[b];
      }
    }
  }

  let stores = min(ROWS, p.l - row0);
  for (var r = 0u; r < stores; r++) {
    let whole = subgroupShuffle(factor, r / 4u)[r & 3u];
    for (var b = 0u; b < turns / 8u; b++) {
      let at = (row0 + r) * p.q_row + head * K4 + b * 8u + lane;
      var x = select(sums[0][r], sums[BLOCKS - 1u][r], b == 1u) * whole;
      if (p.acc == 1u) { x += dq[at]; }
      dq[at] = x;
    }
  }
}
// @use attention_keep, nan, state
