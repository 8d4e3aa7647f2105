// matmul_act_bwd: dz = [dz +] dy · act'(z), the first step of the backward of a matmul with an activation; adds where acc = 1.
// Layout: z, dy, dz [n], f32. A thread owns one vec4, a workgroup 1,024 elements. No workgroup memory.
// Host: buffers are padded to 16 bytes; the last vec4 may touch the padding.
const ACT: u32 = 0; // @tune
struct Params { n: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> z: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dz: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  var v = dy[i] * activate_slope4(ACT, z[i]);
  if (p.acc == 1u) { v += dz[i]; }
  dz[i] = v;
}
// @use group_index, activate
