// fill: x[i] = value.
// Layout: x [n], f32. A thread owns one vec4, a workgroup 1,024 elements. No workgroup memory.
// Exact: with TAIL (n is no multiple of 4) the last thread stores single elements, since x may be a view of more.
struct Params { n: u32, value: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;

const TAIL: bool = true; // @tune

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  if (TAIL && i * 4u + 4u > p.n) {
    for (var k = 0u; k < p.n % 4u; k++) { x[i][k] = p.value; }
    return;
  }
  x[i] = vec4f(p.value);
}
// @use group_index
