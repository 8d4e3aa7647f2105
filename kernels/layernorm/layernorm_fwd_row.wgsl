// layernorm_fwd_row: sum = x + dropout(r) (only with FLAG_RESIDUAL, else sum stands for x), then
// norm = (sum − mean) / √(var + eps) · weight + bias over each row; biased variance, in two passes.
// Layout: x, r, sum, norm [L, D], weight, bias [D], D a multiple of 4; state [16]: seed, step, …, 5 dropout on.
// A thread owns a row: made for adapters that compute on the CPU, where barriers cost more than strides.
// Host: without FLAG_RESIDUAL r and sum are neither read nor written, without FLAG_DROPOUT state is not read.
struct Params { rows: u32, d: u32, eps: f32, flags: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> r: array<vec4f>;
@group(0) @binding(4) var<storage, read> weight: array<vec4f>;
@group(0) @binding(5) var<storage, read> bias: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> norm: array<vec4f>;

const FLAG_RESIDUAL: u32 = 1u;
const FLAG_DROPOUT: u32 = 2u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 64u + lid;
  if (row >= p.rows) { return; }
  let first = row * p.d / 4u;
  let end = first + p.d / 4u;
  let residual = (p.flags & FLAG_RESIDUAL) != 0u;
  var key = vec2u(0u);
  var masked = false;
  if ((p.flags & FLAG_DROPOUT) != 0u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  var total = vec4f();
  for (var e = first; e < end; e++) {
    var v = x[e];
    if (residual) {
      var add = r[e];
      if (masked) { add *= keep4(key, p.op, e, p.threshold, p.scale); }
      v += add;
      sum[e] = v;
    }
    total += v;
  }
  let mean = (total.x + total.y + total.z + total.w) / f32(p.d);
  total = vec4f();
  for (var e = first; e < end; e++) {
    let v = normalized(residual, e) - mean;
    total += v * v;
  }
  let rstd = inverse_sqrt((total.x + total.y + total.z + total.w) / f32(p.d) + p.eps);
  for (var e = first; e < end; e++) {
    norm[e] = (normalized(residual, e) - mean) * rstd * weight[e - first] + bias[e - first];
  }
}

// What is normalized: the sum, which this thread wrote itself, or x.
fn normalized(residual: bool, e: u32) -> vec4f {
  if (residual) { return sum[e]; }
  return x[e];
}
// @use group_index, inverse_sqrt, keep, state
