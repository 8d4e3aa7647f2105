// clear_padding: zeroes what lies behind the parameters of an arena up to the next multiple of 4 elements.
// Ops store whole vec4s, so that a gradient whose size is no multiple of 4 has anything behind it; what reads the arena
// as a whole (grad_norm, adamw) must see zeros there.
// Layout: grads [N]; ends [n], the first element behind each such parameter, none of them a multiple of 4.
// A thread owns an end, a workgroup 64. No workgroup memory.
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ends: array<u32>;
@group(0) @binding(2) var<storage, read_write> grads: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  if (i >= p.n) { return; }
  for (var e = ends[i]; e % 4u != 0u; e++) { grads[e] = 0.0; }
}
// @use group_index
