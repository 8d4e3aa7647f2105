// exchange: a and b are exchanged, bit for bit.
// Layout: a, b [n], 32-bit words. A thread owns one vec4, a workgroup of 64 256 elements. No workgroup memory.
// Host: buffers are padded to 16 bytes; a and b are different buffers.
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> a: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> b: array<vec4u>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  if (i * 4u >= p.n) { return; }
  let x = a[i];
  a[i] = b[i];
  b[i] = x;
}
// @use group_index
