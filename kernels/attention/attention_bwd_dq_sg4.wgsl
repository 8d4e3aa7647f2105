enable subgroups;
diagnostic(off, subgroup_uniformity); // the loop bounds come from subgroupMin and subgroupMax: all lanes agree
// attention_bwd_dq for adapters whose subgroups have exactly 4 lanes (SwiftShader): same formula and layouts as
// attention_bwd_dq_tile. A load costs far more than arithmetic there: the lanes load a key together and share it.
// A workgroup is one subgroup and owns 8 query rows of one head (grid: ceil(L / 8) × H), a lane the rows lane and lane + 4;
// a step takes 2 keys. No workgroup memory. Where exp loses a NaN, delta, of the output that it made NaN, has it.
// NaN: a weight of 0 times NaN is NaN: one in k or v reaches all 8 rows of each workgroup that reads it (from the first to the
// last of its rows' segments, rounded out to twos), those of other segments and unused ones too.
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
@group(0) @binding(8) var<storage, read_write> dq: array<vec4f>;

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

struct Operands { q: Head, g: Head, stat: vec2f } // q scaled; (lse, delta)
fn operands_at(x: Query, head: u32) -> Operands {
  let at = min(x.i, p.l - 1u);
  return Operands(head_scale(q_own(at * p.q_row + head * K4), p.scale), dout_own((at * p.heads + head) * K4), stats[head * p.l + at]);
}
fn slope(x: Query, y: Operands, j: u32, k: Head, v: Head, keep: f32) -> f32 {
  let ds = exp(head_dot(y.q, k) - y.stat.x) * (keep * head_dot(y.g, v) - y.stat.y);
  return select(0.0, ds, j - x.first < x.count);
}
fn finish(x: Query, sum: Head, head: u32) {
  if (x.i < p.l) { dq_store(x.i * p.q_row + head * K4, head_scale(sum, select(p.scale, make_nan(x.i), x.beyond))); }
}

@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let head = wid.y;
  let x0 = query_at(wid.x * 8u + lane);
  let x1 = query_at(wid.x * 8u + 4u + lane);
  let begin = subgroupMin(min(select(0xffffffffu, x0.first, x0.count > 0u), select(0xffffffffu, x1.first, x1.count > 0u))) & 0xfffffffeu;
  let to = subgroupMax(max(select(0u, x0.first + x0.count, x0.count > 0u), select(0u, x1.first + x1.count, x1.count > 0u)));
  let y0 = operands_at(x0, head);
  let y1 = operands_at(x1, head);
  var sum0 = Head();
  var sum1 = Head();
  var drop = false;
  var key = vec2u();
  if (DROPOUT) {
    drop = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  let column = p.k_col + head * K4;
  for (var j = begin; j < to; j += 2u) {
    var keep0 = vec2f(1.0);
    var keep1 = vec2f(1.0);
    if (DROPOUT && drop) {
      keep0 = attention_keep2(key, p.stream + head, x0.i, j, p.threshold, p.keep_scale);
      keep1 = attention_keep2(key, p.stream + head, x1.i, j, p.threshold, p.keep_scale);
    }
    let at = min(vec2u(j, j + 1u), vec2u(p.m - 1u)) * p.kv_row + column;
    var k = kv_shared(at.x, lane);
    var v = kv_shared(at.x + p.heads * K4, lane);
    sum0 = head_add(sum0, slope(x0, y0, j, k, v, keep0.x), k);
    sum1 = head_add(sum1, slope(x1, y1, j, k, v, keep1.x), k);
    k = kv_shared(at.y, lane);
    v = kv_shared(at.y + p.heads * K4, lane);
    sum0 = head_add(sum0, slope(x0, y0, j + 1u, k, v, keep0.y), k);
    sum1 = head_add(sum1, slope(x1, y1, j + 1u, k, v, keep1.y), k);
  }
  finish(x0, sum0, head);
  finish(x1, sum1, head);
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
fn dout_four(at: u32) -> Sixteen { return Sixteen(dout[at], dout[at + 1u], dout[at + 2u], dout[at + 3u]); }
fn dout_own(at: u32) -> Head {
  var x = Head();
  x.a = dout_four(at);
  if (K > 16u) { x.b = dout_four(at + 4u); }
  if (K > 32u) { x.c = dout_four(at + 8u); }
  if (K > 48u) { x.d = dout_four(at + 12u); }
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
fn dq_store4(at: u32, x: Sixteen) {
  var y = x;
  if (p.acc == 1u) { y = Sixteen(x[0] + dq[at], x[1] + dq[at + 1u], x[2] + dq[at + 2u], x[3] + dq[at + 3u]); }
  dq[at] = y[0];
  dq[at + 1u] = y[1];
  dq[at + 2u] = y[2];
  dq[at + 3u] = y[3];
}
fn dq_store(at: u32, x: Head) {
  dq_store4(at, x.a);
  if (K > 16u) { dq_store4(at + 4u, x.b); }
  if (K > 32u) { dq_store4(at + 8u, x.c); }
  if (K > 48u) { dq_store4(at + 12u, x.d); }
}
// @use attention_sg4, attention_keep, nan, state
