// binary_bwd: g[i] = [g[i] +] dy[i] · slope(a[i mod na], b[i mod nb]), whose product is the expression f of an op in
// engine/ops/binary.ts; adds where acc = 1.
// Layout: a [na], b [nb], dy, g [n], f32; na and nb are n, 1 or the size of a suffix of dy's shape.
// A thread owns one vec4 of g, a workgroup 1,024 elements. No workgroup memory.
// Host: na and nb divide n; buffers are padded to 16 bytes; the last vec4 may touch the padding. A broadcast side's g
// is of full size and is summed afterwards.
struct Params { n: u32, na: u32, nb: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> g: array<vec4f>;
alias T = vec4f;
alias U = vec4u;

fn f(a: T, b: T, d: T) -> T { return d * b; } // @tune

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  var r = f(load_a(i), load_b(i), dy[i]);
  if (p.acc == 1u) { r += g[i]; }
  g[i] = r;
}
// @use group_index, operands, elementwise, power
