// binary_fwd: y[i] = f(a[i mod na], b[i mod nb]), f being the expression of an op in engine/ops/binary.ts.
// Layout: a [na], b [nb], y [n], f32; na and nb are n, 1 or the size of a suffix of y's shape.
// A thread owns one vec4 of y, a workgroup 1,024 elements. No workgroup memory.
// Host: na and nb divide n; buffers are padded to 16 bytes; the last vec4 may touch the padding.
struct Params { n: u32, na: u32, nb: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
alias T = vec4f;
alias U = vec4u;

fn f(a: T, b: T) -> T { return a + b; } // @tune

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  y[i] = f(load_a(i), load_b(i));
}
// @use group_index, operands, elementwise, power
