// layernorm_fwd: sum = x + dropout(r) (only with FLAG_RESIDUAL, else sum stands for x), then
// norm = (sum − mean) / √(var + eps) · weight + bias over each row; biased variance, in two passes.
// Layout: x, r, sum, norm [L, D], weight, bias [D], any D; state [16]: seed, step, …, 5 dropout on.
// A workgroup owns 16 rows, 16 threads a row, a thread every 16th element. Workgroup memory 1 KiB.
// Host: without FLAG_RESIDUAL r and sum are neither read nor written, without FLAG_DROPOUT state is not read.
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

var<workgroup> part: array<f32, 256>;

/// The sum of v over the 16 threads of a row.
fn row_sum(lid: u32, v: f32) -> f32 {
  part[lid] = v;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < 16u; i++) { total += part[(lid & 240u) + i]; }
  workgroupBarrier();
  return total;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 16u + lid / 16u;
  let lane = lid % 16u;
  let base = row * p.d;
  let end = select(0u, p.d, row < p.rows);
  let residual = (p.flags & FLAG_RESIDUAL) != 0u;
  var key = vec2u(0u);
  var masked = false;
  if ((p.flags & FLAG_DROPOUT) != 0u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  var total = 0.0;
  for (var c = lane; c < end; c += 16u) {
    var v = x[base + c];
    if (residual) {
      var add = r[base + c];
      if (masked) { add *= keep1(key, p.op, base + c, p.threshold, p.scale); }
      v += add;
      sum[base + c] = v;
    }
    total += v;
  }
  let mean = row_sum(lid, total) / f32(p.d);
  var squares = 0.0;
  for (var c = lane; c < end; c += 16u) {
    var v = 0.0;
    if (residual) { v = sum[base + c]; } else { v = x[base + c]; }
    squares += (v - mean) * (v - mean);
  }
  let rstd = inverse_sqrt(row_sum(lid, squares) / f32(p.d) + p.eps);
  for (var c = lane; c < end; c += 16u) {
    var v = 0.0;
    if (residual) { v = sum[base + c]; } else { v = x[base + c]; }
    norm[base + c] = (v - mean) * rstd * weight[c] + bias[c];
  }
}
// @use group_index, inverse_sqrt, keep, state
