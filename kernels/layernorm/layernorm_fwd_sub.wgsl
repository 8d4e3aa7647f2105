enable subgroups;
// layernorm_fwd for adapters with subgroups of any width: formula and layout as in layernorm_fwd.wgsl, any D.
// A workgroup of WG threads owns four rows, a thread the columns t, t + WG, … of all four, so that the sums of four rows
// go over the subgroups at once. Workgroup memory: 16·WG bytes. Its speed on a GPU is unmeasured.
const WG: u32 = 64; // @tune
struct Params { rows: u32, d: u32, eps: f32, flags: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> r: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> sum: array<f32>;
@group(0) @binding(7) var<storage, read_write> norm: array<f32>;

const FLAG_RESIDUAL: u32 = 1u;
const FLAG_DROPOUT: u32 = 2u;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let top = group_index(wid, grid) * 4u;
  if (top >= p.rows) { return; }
  let count = min(4u, p.rows - top);
  let residual = (p.flags & FLAG_RESIDUAL) != 0u;
  var key = vec2u(0u);
  var masked = false;
  if ((p.flags & FLAG_DROPOUT) != 0u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  var total = vec4f();
  for (var c = lid; c < p.d; c += WG) {
    for (var i = 0u; i < count; i++) {
      let e = (top + i) * p.d + c;
      var v = x[e];
      if (residual) {
        var add = r[e];
        if (masked) { add *= keep1(key, p.op, e, p.threshold, p.scale); }
        v += add;
        sum[e] = v;
      }
      total[i] += v;
    }
  }
  let mean = workgroup_sum4(lid, total) / f32(p.d);
  var squares = vec4f();
  for (var c = lid; c < p.d; c += WG) {
    for (var i = 0u; i < count; i++) {
      let v = normalized(residual, (top + i) * p.d + c) - mean[i];
      squares[i] += v * v;
    }
  }
  let variance = workgroup_sum4(lid, squares) / f32(p.d) + p.eps;
  let rstd = vec4f(inverse_sqrt(variance.x), inverse_sqrt(variance.y), inverse_sqrt(variance.z), inverse_sqrt(variance.w));
  for (var c = lid; c < p.d; c += WG) {
    for (var i = 0u; i < count; i++) {
      let e = (top + i) * p.d + c;
      norm[e] = (normalized(residual, e) - mean[i]) * rstd[i] * weight[c] + bias[c];
    }
  }
}

/// The element that is normalized: of the sum, which this thread wrote itself, or of x.
fn normalized(residual: bool, e: u32) -> f32 {
  if (residual) { return sum[e]; }
  return x[e];
}
// @use group_index, inverse_sqrt, keep, workgroup_sum4, state
