// map: y[…] = [that +] f(a[…], b[…], c[…]) for each of n indices of a shape of up to six axes, f being the expression of an
// op. Operand o has an element at o_at + Σ index · stride: of 0 along an axis that it is repeated along, below 0 (modulo
// 2³²) along one that is walked backwards. Adds to y where acc = 1.
// Layout: words of the types A (a), B (b) and Y (c and y). A thread owns one element, a workgroup 256. No workgroup memory.
// Host: every element lies inside of its operand, and no two indices share one of y; an unused operand has strides of 0.
struct Params {
  n: u32, acc: u32, d1: u32, d2: u32, d3: u32, d4: u32, d5: u32,
  y_at: u32, y0: u32, y1: u32, y2: u32, y3: u32, y4: u32, y5: u32,
  a_at: u32, a0: u32, a1: u32, a2: u32, a3: u32, a4: u32, a5: u32,
  b_at: u32, b0: u32, b1: u32, b2: u32, b3: u32, b4: u32, b5: u32,
  c_at: u32, c0: u32, c1: u32, c2: u32, c3: u32, c4: u32, c5: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> c: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;
const RANK: u32 = 6; // @tune
alias A = f32; // @tune
alias B = f32; // @tune
alias Y = f32; // @tune
alias T = f32;
alias U = u32;

fn f(a: A, b: B, c: Y) -> Y { return a + b * c; } // @tune

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.n) { return; }
  let x = digits_of(i);
  let u = a[p.a_at + offset_of(x, p.a0, p.a1, p.a2, p.a3, p.a4, p.a5)];
  let v = b[p.b_at + offset_of(x, p.b0, p.b1, p.b2, p.b3, p.b4, p.b5)];
  let w = c[p.c_at + offset_of(x, p.c0, p.c1, p.c2, p.c3, p.c4, p.c5)];
  let at = p.y_at + offset_of(x, p.y0, p.y1, p.y2, p.y3, p.y4, p.y5);
  let r = f(bitcast<A>(u), bitcast<B>(v), bitcast<Y>(w));
  // Two stores: see copy_block.wgsl.
  if (p.acc == 1u) { y[at] = bitcast<u32>(bitcast<T>(y[at]) + bitcast<T>(r)); } else { y[at] = bitcast<u32>(r); }
}
// @use group_index, strided, elementwise, power
