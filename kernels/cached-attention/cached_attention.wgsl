// cached_attention: o_r = Σ_j P_j v_j, P = softmax(scale · q_r kᵀ): one query a sequence against the keys it has so far.
// The keys of row r are the rows [start_r, end_r) of kv, then its own rows own[r, 0 … count_r).
// Layout: q, row r from vec4 r · q_row on, H heads of K columns; kv [S, 2HK] as k|v; own [R, capacity]; o [R, HK].
// A workgroup of 64 owns one head of one row: keys in tiles of 64, a thread a key for the scores, then a thread four
// columns of v for every GROUPS-th key; online softmax. 64 · (4 + 4 + 4 + 16) + 4 K workgroup bytes. A row without keys gives 0,
// one with a key of S and beyond NaN.
// Host: K % 4 = 0, K ≤ 128; start, end, count and own are data, so that they may differ from run to run.
struct Params { rows: u32, heads: u32, k: u32, q_row: u32, capacity: u32, slots: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> own: array<u32>;
@group(0) @binding(6) var<storage, read> count: array<u32>;
@group(0) @binding(7) var<storage, read_write> o: array<vec4f>;

const K: u32 = 32; // @tune
const K4: u32 = K / 4u;
const WG: u32 = 64;
const GROUPS: u32 = WG / K4;
const NONE: f32 = -3e38;

var<workgroup> query: array<vec4f, K4>;
var<workgroup> scores: array<f32, WG>;
var<workgroup> sources: array<u32, WG>;
var<workgroup> totals: array<f32, WG>;
var<workgroup> sums: array<vec4f, WG>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let g = group_index(wid, grid);
  if (g >= p.rows * p.heads) { return; }
  let r = g / p.heads;
  let head = g % p.heads;
  let d4 = p.heads * K4;
  let first = start[r];
  let beyond = end[r] > max(first, p.slots);
  let shared_keys = max(min(end[r], p.slots), first) - first;
  let n = shared_keys + min(count[r], p.capacity);
  let column = lid % K4;
  let group = lid / K4;
  let idle = group >= GROUPS;
  var top = NONE;
  var total = 0.0;
  var below = 0.0;
  var sum = vec4f(0.0);
  let n4 = p.k / 4u; // unknown to the compiler: unrolled, these loops take some drivers a minute to compile
  if (lid < K4) { query[lid] = q[r * p.q_row + head * K4 + lid]; }
  workgroupBarrier();

  for (var base = 0u; base < n; base += WG) {
    let j = base + lid;
    var source = 0u;
    var s = NONE;
    if (j < n) {
      if (j < shared_keys) { source = first + j; } else { source = own[r * p.capacity + j - shared_keys]; }
      var dots = vec4f(0.0);
      for (var c = 0u; c < n4; c++) { dots += query[c] * kv[source * 2u * d4 + head * K4 + c]; }
      s = p.scale * (dots.x + dots.y + dots.z + dots.w);
      if (source >= p.slots) { s = make_nan(source); }
    }
    workgroupBarrier();
    scores[lid] = s;
    sources[lid] = source;
    workgroupBarrier();
    let keys = min(WG, n - base);
    var highest = top;
    for (var e = 0u; e < keys; e++) { highest = max(highest, scores[e]); }
    let shrink = exp(top - highest);
    top = highest;
    total *= shrink;
    sum *= shrink;
    if (!idle) {
      for (var e = group; e < keys; e += GROUPS) {
        let d = scores[e] - top;
        let w = exp(d);
        total += w;
        below += d;
        sum += w * kv[sources[e] * 2u * d4 + d4 + head * K4 + column];
      }
    }
  }

  total = or_nan(total, below);
  totals[lid] = total;
  sums[lid] = sum;
  workgroupBarrier();
  if (lid >= K4) { return; }
  for (var e = 1u; e < WG / n4; e++) {
    total += totals[e * K4 + lid];
    sum += sums[e * K4 + lid];
  }
  var factor = select(0.0, 1.0 / total, n > 0u);
  if (beyond) { factor = make_nan(r); }
  o[r * d4 + head * K4 + lid] = sum * factor;
}
// @use group_index, nan
