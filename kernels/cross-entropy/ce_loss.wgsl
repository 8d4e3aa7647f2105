// ce_loss: loss[g] = Σ weightᵢ · (maximumᵢ + log Σexpᵢ − (1 − smooth_by) · target's logitᵢ − even · Σxᵢ)
//   over the rows g·per … (g + 1)·per − 1, in a fixed order.
// Layouts: stats [L] of (maximum, Σ exp, target's logit, Σ x), weights [L], loss [⌈L / per⌉].
// A workgroup of 256 threads owns a part; a thread every 256th row of it; 1,024 bytes of workgroup memory.
struct Params { l: u32, per: u32, smooth_by: f32, even: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> stats: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
var<workgroup> parts: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let part = group_index(wid, grid);
  let end = min(p.l, (part + 1u) * p.per);
  var sum = 0.0;
  for (var i = part * p.per + lid; i < end; i += 256u) {
    let w = weights[i];
    if (!is_zero(w)) {
      let s = stats[i];
      sum += w * (s.x + log(s.y) - ((1.0 - p.smooth_by) * s.z + p.even * s.w));
    }
  }
  parts[lid] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (lid < half) { parts[lid] += parts[lid + half]; }
    workgroupBarrier();
  }
  if (lid == 0u && part * p.per < max(1u, p.l)) { loss[part] = parts[0]; }
}
// @use group_index, nan
