enable subgroups;
// layernorm_fwd for subgroups of exactly 8 and rows of any width: formula, layout and flags as in layernorm_fwd.wgsl.
// A subgroup owns a row, a workgroup 4 rows; a lane every eighth element, which it alone reads and writes. The mean and
// the variance each take a reading of their own. No workgroup memory.
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

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 4u + lid / 8u;
  let lane = lid % 8u;
  // Surplus subgroups keep uniform control flow and have an empty row.
  let base = min(row, p.rows - 1u) * p.d;
  let end = select(0u, p.d, row < p.rows);
  let residual = (p.flags & FLAG_RESIDUAL) != 0u;
  var key = vec2u(0u);
  var masked = false;
  if ((p.flags & FLAG_DROPOUT) != 0u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  var total = 0.0;
  for (var c = lane; c < end; c += 8u) {
    var v = x[base + c];
    if (residual) {
      var add = r[base + c];
      if (masked) { add *= keep1(key, p.op, base + c, p.threshold, p.scale); }
      v += add;
      sum[base + c] = v;
    }
    total += v;
  }
  let mean = sum8(total) / f32(p.d);
  var squares = 0.0;
  for (var c = lane; c < end; c += 8u) {
    var v = 0.0;
    if (residual) { v = sum[base + c]; } else { v = x[base + c]; }
    squares += (v - mean) * (v - mean);
  }
  let rstd = inverse_sqrt(sum8(squares) / f32(p.d) + p.eps);
  for (var c = lane; c < end; c += 8u) {
    var v = 0.0;
    if (residual) { v = sum[base + c]; } else { v = x[base + c]; }
    norm[base + c] = (v - mean) * rstd * weight[c] + bias[c];
  }
}
// @use group_index, inverse_sqrt, keep, lanes8, state
