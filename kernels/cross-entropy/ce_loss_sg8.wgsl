enable subgroups;
// ce_loss for subgroups of exactly 8: formula and layouts as in ce_loss.wgsl.
// A subgroup (a workgroup of 8) owns a part, a lane every eighth row of it. No workgroup memory.
struct Params { l: u32, per: u32, smooth_by: f32, even: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> stats: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lane: u32) {
  let part = group_index(wid, grid);
  if (part * p.per >= max(1u, p.l)) { return; }
  let end = min(p.l, (part + 1u) * p.per);
  var sum = 0.0;
  for (var i = part * p.per + lane; i < end; i += 8u) {
    let w = weights[i];
    if (!is_zero(w)) {
      let s = stats[i];
      sum += w * (s.x + log(s.y) - ((1.0 - p.smooth_by) * s.z + p.even * s.w));
    }
  }
  let total = sum8(sum);
  if (lane == 0u) { loss[part] = total; }
}
// @use group_index, lanes8, nan
