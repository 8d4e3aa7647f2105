enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_bwd_dkv for adapters whose subgroups have exactly 4 lanes (SwiftShader): same formula and layouts as
// attention_bwd_dkv_tile. A load costs far more than arithmetic there: the lanes load a query together and share it.
// A workgroup is one subgroup and owns 8 key rows of one head (grid: ceil(M / 8) × H), a lane the rows 2 · lane and
// 2 · lane + 1, which one draw of dropout serves; a step takes one query. No workgroup memory.
// NaN: a weight of 0 times NaN is NaN: one in a query or its dout reaches all 8 rows of each workgroup that reads it (from the first to the
// last of its rows' segments), those of other segments and unused ones too.
// Host: K % 16 = 0, K ≤ 64; segments are contiguous and in order, unused rows (start = end) come last; causal only where q and kv are one.
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
const K4: u32 = K / 4u;

struct Key { j: u32, first: u32, count: u32, beyond: bool, k: Head, v: Head } // k scaled
fn key_at(j: u32, head: u32) -> Key {
  let at = min(j, p.m - 1u);
  let all = end[at];
  let last = min(all, p.l);
  var first = start[at];
  let beyond = all > max(first, p.l);
  if (p.causal == 1u) { first = max(first, j); }
  let own = at * p.kv_row + p.k_col + head * K4;
  return Key(j, first, select(0u, last - first, j < p.m && last > first), beyond, head_scale(kv_own(own), p.scale), kv_own(own + p.heads * K4));
}
// (probability, its gradient by the score)
fn slope(x: Key, i: u32, q: Head, g: Head, stat: vec2f, keep: f32) -> vec2f {
  let prob = or_nan(exp(head_dot(x.k, q) - stat.x), stat.x);
  let both = vec2f(prob * keep, prob * (keep * head_dot(x.v, g) - stat.y));
  return select(vec2f(), both, i - x.first < x.count);
}
fn finish(x: Key, dk: Head, dv: Head, head: u32) {
  if (x.j >= p.m) { return; }
  let factor = select(1.0, make_nan(x.j), x.beyond);
  let own = x.j * p.kv_row + p.k_col + head * K4;
  dkv_store(own, head_scale(dk, p.scale * factor));
  dkv_store(own + p.heads * K4, head_scale(dv, factor));
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let head = wid.y;
  let x0 = key_at(wid.x * 8u + 2u * lane, head);
  let x1 = key_at(wid.x * 8u + 2u * lane + 1u, head);
  let begin = subgroupMin(min(select(0xffffffffu, x0.first, x0.count > 0u), select(0xffffffffu, x1.first, x1.count > 0u)));
  let to = subgroupMax(max(select(0u, x0.first + x0.count, x0.count > 0u), select(0u, x1.first + x1.count, x1.count > 0u)));
  var dk0 = Head();
  var dv0 = Head();
  var dk1 = Head();
  var dv1 = Head();
  var drop = false;
  var key = vec2u();
  if (DROPOUT) {
    drop = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  for (var i = begin; i < to; i++) {
    var keep = vec2f(1.0);
    if (DROPOUT && drop) { keep = attention_keep2(key, p.stream + head, i, x0.j, p.threshold, p.keep_scale); }
    let row = q_shared(i * p.q_row + head * K4, lane);
    let g = dout_shared((i * p.heads + head) * K4, lane);
    let stat = stats[head * p.l + i];
    let s0 = slope(x0, i, row, g, stat, keep.x);
    let s1 = slope(x1, i, row, g, stat, keep.y);
    dv0 = head_add(dv0, s0.x, g);
    dv1 = head_add(dv1, s1.x, g);
    dk0 = head_add(dk0, s0.y, row);
    dk1 = head_add(dk1, s1.y, row);
  }
  finish(x0, dk0, dv0, head);
  finish(x1, dk1, dv1, head);
}

fn kv_four(at: u32) -> Sixteen { return Sixteen(kv[at], kv[at + 1u], kv[at + 2u], kv[at + 3u]); }
fn kv_own(at: u32) -> Head {
  var x = Head();
  x.a = kv_four(at);
  if (K > 16u) { x.b = kv_four(at + 4u); }
  if (K > 32u) { x.c = kv_four(at + 8u); }
  if (K > 48u) { x.d = kv_four(at + 12u); }
  return x;
}
fn q_shared(at: u32, lane: u32) -> Head {
  var x = Head();
  x.a = shared16(q[at + lane]);
  if (K > 16u) { x.b = shared16(q[at + 4u + lane]); }
  if (K > 32u) { x.c = shared16(q[at + 8u + lane]); }
  if (K > 48u) { x.d = shared16(q[at + 12u + lane]); }
  return x;
}
fn dout_shared(at: u32, lane: u32) -> Head {
  var x = Head();
  x.a = shared16(dout[at + lane]);
  if (K > 16u) { x.b = shared16(dout[at + 4u + lane]); }
  if (K > 32u) { x.c = shared16(dout[at + 8u + lane]); }
  if (K > 48u) { x.d = shared16(dout[at + 12u + lane]); }
  return x;
}
fn dkv_store4(at: u32, x: Sixteen) {
  var y = x;
  if (p.acc == 1u) { y = Sixteen(x[0] + dkv[at], x[1] + dkv[at + 1u], x[2] + dkv[at + 2u], x[3] + dkv[at + 3u]); }
  dkv[at] = y[0];
  dkv[at + 1u] = y[1];
  dkv[at + 2u] = y[2];
  dkv[at + 3u] = y[3];
}
fn dkv_store(at: u32, x: Head) {
  dkv_store4(at, x.a);
  if (K > 16u) { dkv_store4(at + 4u, x.b); }
  if (K > 32u) { dkv_store4(at + 8u, x.c); }
  if (K > 48u) { dkv_store4(at + 12u, x.d); }
}
// @use attention_sg4, attention_keep, nan, state
