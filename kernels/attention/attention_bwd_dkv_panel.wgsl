enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_bwd_dkv for adapters whose subgroups have exactly 8 lanes (software drivers on AVX2), heads of 32 or 64: same
// formula and layouts as attention_bwd_dkv_tile, built as attention_bwd_dq_panel.
// A workgroup is one subgroup and owns 32 key rows of one head (grid: ceil(M / 32) × H), past which the queries walk. Sᵀ and
// dPᵀ: a lane owns 4 of the keys, of which it holds k and v transposed, and the numbers of a query's row are shared. dk and
// dv: a lane owns 4 of every 32 columns, and dSᵀ and Pᵀ are shared instead. No workgroup memory.
// NaN: a weight of 0 times NaN is NaN: one in a query, its dout or its stats reaches all 32 rows of each workgroup that reads
// it (queries from the first to the last of its rows' segments), those of other segments and unused ones too; the tiled
// variants keep to the segment.
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
@group(0) @binding(8) var<storage, read_write> dkv: array<vec4f>;

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
  let j = row0 + 4u * lane;
  let js = vec4u(j, j + 1u, j + 2u, j + 3u);
  let rows = min(js, vec4u(p.m - 1u));
  let hidden = p.heads >> 31u; // 0, which the compiler does not know: loops that are unrolled are long
  var first: vec4u;
  var last: vec4u;
  var row = rows;
  for (var n = 0u; n < 4u + hidden; n++) {
    first = vec4u(first.yzw, start[row.x]);
    last = vec4u(last.yzw, end[row.x]);
    row = row.yzwx;
  }
  // 1, or NaN where the queries of the row are not all there
  let factor = select(vec4f(1.0), vec4f(make_nan(j)), last > max(first, vec4u(p.l)));
  last = min(last, vec4u(p.l));
  if (p.causal == 1u) { first = max(first, js); }
  let count = select(vec4u(0u), last - first, (js < vec4u(p.m)) & (last > first));
  let some = count > vec4u(0u);
  let low = select(vec4u(0xffffffffu), first, some);
  let high = select(vec4u(0u), last, some);
  let begin = subgroupMin(min(min(low.x, low.y), min(low.z, low.w)));
  let to = subgroupMax(max(max(high.x, high.y), max(high.z, high.w)));
  let turns = K4 + hidden;
  // Arrays of arrays: read at constant outer indices, they are several to the compiler, whose effort grows with the square of each.
  var own: array<array<vec4f, 2 * K4>, 4>; // the lane's four keys, scaled, then its values: column 4 c + e at [e][c]
  var dk: array<array<vec4f, ROWS>, BLOCKS>; // the lane's columns of every row
  var dv: array<array<vec4f, ROWS>, BLOCKS>;
  // Keys, then values: one loop for both, since a load costs much code.
  let at0 = rows * p.kv_row + p.k_col + head * K4;
  for (var n = 0u; n < 2u * turns; n++) {
    let at = at0 + select(n, n - K4 + d4, n >= K4);
    let x = transpose(mat4x4f(kv[at.x], kv[at.y], kv[at.z], kv[at.w])) * select(p.scale, 1.0, n >= K4);
    for (var e = 0u; e < 4u; e++) { own[e][n] = x[e]; }
  }

  for (var i = begin; i < to; i++) {
    let stat = stats[head * p.l + i];
    var x: array<vec4f, BLOCKS>;
    var g: array<vec4f, BLOCKS>;
    for (var b = 0u; b < BLOCKS; b++) {
      let column = head * K4 + b * 8u + lane;
      x[b] = q[i * p.q_row + column];
      g[b] = dout[i * d4 + column];
    }
    var keep = vec4f(1.0); // before the products, whose sums would spill where a branch follows them
    if (DROPOUT && state[STATE_DROPOUT] != 0u) {
      let key = vec2u(state[STATE_SEED], state[STATE_STEP]);
      keep = vec4f(attention_keep2(key, p.stream + head, i, j, p.threshold, p.keep_scale),
        attention_keep2(key, p.stream + head, i, j + 2u, p.threshold, p.keep_scale));
    }
    var s = vec4f(); // scores, then probabilities, then those that dropout left
    var ds = vec4f(); // dP, then dS
    for (var b = 0u; b < BLOCKS; b++) {
      for (var r = 0u; r < 8u; r++) {
        let c = 8u * b + r;
        let y = subgroupShuffle(x[b], r);
        s += y.x * own[0][c] + y.y * own[1][c] + y.z * own[2][c] + y.w * own[3][c];
      }
      for (var r = 0u; r < 8u; r++) {
        let c = 8u * b + r;
        let y = subgroupShuffle(g[b], r);
        ds += y.x * own[0][K4 + c] + y.y * own[1][K4 + c] + y.z * own[2][K4 + c] + y.w * own[3][K4 + c];
      }
    }
    // exp may lose a NaN
    s = select(vec4f(), or_nan(1.0, stat.x) * exp(s - stat.x), vec4u(i) - first < count);
    ds = s * (keep * ds - stat.y);
    s *= keep;
    for (var b = 0u; b < BLOCKS; b++) {
      for (var r = 0u; r < 8u; r++) {
        let at = 4u * r;
        let y = subgroupShuffle(ds, r);
        dk[b][at] += y.x * x[b];
        dk[b][at + 1u] += y.y * x[b];
        dk[b][at + 2u] += y.z * x[b];
        dk[b][at + 3u] += y.w * x[b];
      }
      for (var r = 0u; r < 8u; r++) {
        let at = 4u * r;
        let y = subgroupShuffle(s, r);
        dv[b][at] += y.x * g[b];
        dv[b][at + 1u] += y.y * g[b];
        dv[b][at + 2u] += y.z * g[b];
        dv[b][at + 3u] += y.w * g[b];
      }
    }
  }

  let stores = min(ROWS, p.m - row0);
  for (var r = 0u; r < stores; r++) {
    let whole = subgroupShuffle(factor, r / 4u)[r & 3u];
    for (var b = 0u; b < turns / 8u; b++) {
      let at = (row0 + r) * p.kv_row + p.k_col + head * K4 + b * 8u + lane;
      var x = select(dk[0][r], dk[BLOCKS - 1u][r], b == 1u) * p.scale * whole;
      var y = select(dv[0][r], dv[BLOCKS - 1u][r], b == 1u) * whole;
      if (p.acc == 1u) {
        x += dkv[at];
        y += dkv[at + d4];
      }
      dkv[at] = x;
      dkv[at + d4] = y;
    }
  }
}
// @use attention_keep, nan, state
