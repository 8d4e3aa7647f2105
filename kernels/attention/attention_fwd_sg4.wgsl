enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_fwd for adapters whose subgroups have exactly 4 lanes (SwiftShader): same formula and layouts as
// attention_fwd_tile. A load costs far more than arithmetic there: the lanes load a key together and share it.
// A workgroup is one subgroup and owns 8 query rows of one head (grid: ceil(L / 8) × H), a lane the rows lane and lane + 4;
// a step takes 4 keys. No workgroup memory.
// NaN: a weight of 0 times NaN is NaN: one in k or v reaches all 8 rows of each workgroup that reads it (from the first to the
// last of its rows' segments, rounded out to fours), those of other segments and unused ones too.
// Host: K % 16 = 0, K ≤ 64; segments are contiguous and in order, unused rows (start = end) come last; causal only where q and kv are one.
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
const K4: u32 = K / 4u;

struct Query { i: u32, first: u32, count: u32, beyond: bool }
fn query_at(i: u32) -> Query {
  let at = min(i, p.l - 1u);
  let first = start[at];
  let all = end[at];
  var last = min(all, p.m);
  if (p.causal == 1u) { last = min(last, i + 1u); }
  return Query(i, first, select(0u, last - first, i < p.l && last > first), all > max(first, p.m));
}

struct Sums { top: f32, total: f32, below: f32, sum: Head }

// The weights of 4 keys from j on, relative to the new top; what was summed before shrinks to it.
fn weigh(x: Query, old: Sums, scores: vec4f, j: u32, head: u32, drop: bool, key: vec2u, w: ptr<function, vec4f>) -> Sums {
  let inside = vec4u(j, j + 1u, j + 2u, j + 3u) - x.first < vec4u(x.count);
  let s = select(vec4f(-3e38), scores, inside);
  var y = old;
  y.top = max(max(old.top, max(s.x, s.y)), max(s.z, s.w));
  let shrink = exp(old.top - y.top);
  let d = select(vec4f(), scores - y.top, inside);
  var weights = select(vec4f(), exp(d), inside);
  y.total = old.total * shrink + (weights.x + weights.y + weights.z + weights.w);
  y.below = old.below + (d.x + d.y + d.z + d.w);
  y.sum = head_scale(old.sum, shrink);
  if (DROPOUT && drop) {
    weights *= vec4f(attention_keep2(key, p.stream + head, x.i, j, p.threshold, p.keep_scale),
      attention_keep2(key, p.stream + head, x.i, j + 2u, p.threshold, p.keep_scale));
  }
  *w = weights;
  return y;
}
fn finish(x: Query, y: Sums, head: u32) {
  if (x.i >= p.l) { return; }
  let some = x.count > 0u;
  let total = or_nan(y.total, y.below);
  let factor = select(1.0, make_nan(x.i), x.beyond);
  stats[head * p.l + x.i] = vec2f(select(0.0, or_nan(y.top + log(total), total), some) * factor, 0.0);
  o_store(x.i * p.heads * K4 + head * K4, head_scale(y.sum, select(0.0, 1.0 / total, some) * factor));
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let head = wid.y;
  let x0 = query_at(wid.x * 8u + lane);
  let x1 = query_at(wid.x * 8u + 4u + lane);
  let begin = subgroupMin(min(select(0xffffffffu, x0.first, x0.count > 0u), select(0xffffffffu, x1.first, x1.count > 0u))) & 0xfffffffcu;
  let to = subgroupMax(max(select(0u, x0.first + x0.count, x0.count > 0u), select(0u, x1.first + x1.count, x1.count > 0u)));
  let q0 = head_scale(q_own(min(x0.i, p.l - 1u) * p.q_row + head * K4), p.scale);
  let q1 = head_scale(q_own(min(x1.i, p.l - 1u) * p.q_row + head * K4), p.scale);
  var y0 = Sums(-1e38, 0.0, 0.0, Head());
  var y1 = y0;
  var drop = false;
  var key = vec2u();
  if (DROPOUT) {
    drop = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  let column = p.k_col + head * K4;
  let most = p.m - 1u;
  for (var j = begin; j < to; j += 4u) {
    let at = min(vec4u(j, j + 1u, j + 2u, j + 3u), vec4u(most)) * p.kv_row + column;
    var x = kv_shared(at.x, lane);
    var s0 = vec4f(head_dot(q0, x), 0.0, 0.0, 0.0);
    var s1 = vec4f(head_dot(q1, x), 0.0, 0.0, 0.0);
    x = kv_shared(at.y, lane);
    s0.y = head_dot(q0, x);
    s1.y = head_dot(q1, x);
    x = kv_shared(at.z, lane);
    s0.z = head_dot(q0, x);
    s1.z = head_dot(q1, x);
    x = kv_shared(at.w, lane);
    s0.w = head_dot(q0, x);
    s1.w = head_dot(q1, x);
    var w0: vec4f;
    var w1: vec4f;
    y0 = weigh(x0, y0, s0, j, head, drop, key, &w0);
    y1 = weigh(x1, y1, s1, j, head, drop, key, &w1);
    let v_at = at + p.heads * K4;
    x = kv_shared(v_at.x, lane);
    y0.sum = head_add(y0.sum, w0.x, x);
    y1.sum = head_add(y1.sum, w1.x, x);
    x = kv_shared(v_at.y, lane);
    y0.sum = head_add(y0.sum, w0.y, x);
    y1.sum = head_add(y1.sum, w1.y, x);
    x = kv_shared(v_at.z, lane);
    y0.sum = head_add(y0.sum, w0.z, x);
    y1.sum = head_add(y1.sum, w1.z, x);
    x = kv_shared(v_at.w, lane);
    y0.sum = head_add(y0.sum, w0.w, x);
    y1.sum = head_add(y1.sum, w1.w, x);
  }
  finish(x0, y0, head);
  finish(x1, y1, head);
}

fn q_four(at: u32) -> Sixteen { return Sixteen(q[at], q[at + 1u], q[at + 2u], q[at + 3u]); }
fn q_own(at: u32) -> Head {
  var x = Head();
  x.a = q_four(at);
  if (K > 16u) { x.b = q_four(at + 4u); }
  if (K > 32u) { x.c = q_four(at + 8u); }
  if (K > 48u) { x.d = q_four(at + 12u); }
  return x;
}
fn kv_shared(at: u32, lane: u32) -> Head {
  var x = Head();
  x.a = shared16(kv[at + lane]);
  if (K > 16u) { x.b = shared16(kv[at + 4u + lane]); }
  if (K > 32u) { x.c = shared16(kv[at + 8u + lane]); }
  if (K > 48u) { x.d = shared16(kv[at + 12u + lane]); }
  return x;
}
fn o_store4(at: u32, x: Sixteen) {
  o[at] = x[0];
  o[at + 1u] = x[1];
  o[at + 2u] = x[2];
  o[at + 3u] = x[3];
}
fn o_store(at: u32, x: Head) {
  o_store4(at, x.a);
  if (K > 16u) { o_store4(at + 4u, x.b); }
  if (K > 32u) { o_store4(at + 8u, x.c); }
  if (K > 48u) { o_store4(at + 12u, x.d); }
}
// @use attention_sg4, attention_keep, nan, state
