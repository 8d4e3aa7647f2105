// fill: x[i] = value.
// Layout: x [n], f32. A thread owns one vec4, a workgroup 1,024 elements. No workgroup memory.
// Host: the last vec4 may write into the padding of x's buffer, up to 16 bytes.
struct Params { n: u32, value: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u < p.n) { x[i] = vec4f(p.value); }
}
// @use group_index
