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
  var first = vec4u(start[rows.x], start[rows.y], start[rows.z], start[rows.w]);
  var last = vec4u(end[rows.x], end[rows.y], end[rows.z], end[rows.w]);
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
  let turns = K4 + (p.heads >> 31u); // hides that it is constant: a loop that is unrolled is long
  var keys: array<vec4f, K>; // the lane's four keys, scaled, column by column
  var values: array<vec4f, K>;
  var dk: array<vec4f, ROWS * BLOCKS>; // the lane's columns of every row
  var dv: array<vec4f, ROWS * BLOCKS>;
  let k_at = rows * p.kv_row + p.k_col + head * K4;
  let v_at = k_at + d4;
  for (var c = 0u; c < turns; c++) {
    let k = transpose(mat4x4f(kv[k_at.x + c], kv[k_at.y + c], kv[k_at.z + c], kv[k_at.w + c]));
    let v = transpose(mat4x4f(kv[v_at.x + c], kv[v_at.y + c], kv[v_at.z + c], kv[v_at.w + c]));
    keys[4u * c] = k[0] * p.scale;
    keys[4u * c + 1u] = k[1] * p.scale;
    keys[4u * c + 2u] = k[2] * p.scale;
    keys[4u * c + 3u] = k[3] * p.scale;
    values[4u * c] = v[0];
    values[4u * c + 1u] = v[1];
    values[4u * c + 2u] = v[2];
    values[4u * c + 3u] = v[3];
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
        let c = 32u * b + 4u * r;
        let y = subgroupShuffle(x[b], r);
        s += y.x * keys[c] + y.y * keys[c + 1u] + y.z * keys[c + 2u] + y.w * keys[c + 3u];
      }
      for (var r = 0u; r < 8u; r++) {
        let c = 32u * b + 4u * r;
        let y = subgroupShuffle(g[b], r);
        ds += y.x * values[c] + y.y * values[c + 1u] + y.z * values[c + 2u] + y.w * values[c + 3u];
      }
    }
    // exp may lose a NaN
    s = select(vec4f(), or_nan(1.0, stat.x) * exp(s - stat.x), vec4u(i) - first < count);
    ds = s * (keep * ds - stat.y);
    s *= keep;
    for (var b = 0u; b < BLOCKS; b++) {
      for (var r = 0u; r < 8u; r++) {
        let at = 32u * b + 4u * r;
        let y = subgroupShuffle(ds, r);
        dk[at] += y.x * x[b];
        dk[at + 1u] += y.y * x[b];
        dk[at + 2u] += y.z * x[b];
        dk[at + 3u] += y.w * x[b];
      }
      for (var r = 0u; r < 8u; r++) {
        let at = 32u * b + 4u * r;
        let y = subgroupShuffle(s, r);
        dv[at] += y.x * g[b];
        dv[at + 1u] += y.y * g[b];
        dv[at + 2u] += y.z * g[b];
        dv[at + 3u] += y.w * g[b];
      }
    }
  }

  let own = min(ROWS, p.m - row0);
  for (var r = 0u; r < own; r++) {
    let four = subgroupShuffle(factor, r / 4u);
    let whole = select(select(four.x, four.y, (r & 1u) != 0u), select(four.z, four.w, (r & 1u) != 0u), (r & 2u) != 0u);
    for (var b = 0u; b < turns / 8u; b++) {
      let at = (row0 + r) * p.kv_row + p.k_col + head * K4 + b * 8u + lane;
      var x = dk[32u * b + r] * p.scale * whole;
      var y = dv[32u * b + r] * whole;
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
