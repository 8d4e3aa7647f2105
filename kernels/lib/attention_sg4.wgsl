// Rows of one head (K ≤ 64, K % 16 = 0, a constant of the kernel) for subgroups of exactly 4 lanes. Each number has a
// constant index: a running one is a gather on SwiftShader, which unrolls no loop.
alias Sixteen = array<vec4f, 4>;
struct Head { a: Sixteen, b: Sixteen, c: Sixteen, d: Sixteen }
// Sixteen numbers, of which each lane loaded four, in all lanes.
fn shared16(u: vec4f) -> Sixteen {
  return Sixteen(subgroupBroadcast(u, 0u), subgroupBroadcast(u, 1u), subgroupBroadcast(u, 2u), subgroupBroadcast(u, 3u));
}
fn dot16(x: Sixteen, y: Sixteen) -> vec4f { return x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3]; }
fn add16(sum: Sixteen, w: f32, x: Sixteen) -> Sixteen {
  return Sixteen(sum[0] + w * x[0], sum[1] + w * x[1], sum[2] + w * x[2], sum[3] + w * x[3]);
}
fn scale16(x: Sixteen, w: f32) -> Sixteen { return Sixteen(x[0] * w, x[1] * w, x[2] * w, x[3] * w); }
fn head_dot(x: Head, y: Head) -> f32 {
  var s = dot16(x.a, y.a);
  if (K > 16u) { s += dot16(x.b, y.b); }
  if (K > 32u) { s += dot16(x.c, y.c); }
  if (K > 48u) { s += dot16(x.d, y.d); }
  return s.x + s.y + s.z + s.w;
}
// sum + w · x
fn head_add(sum: Head, w: f32, x: Head) -> Head {
  var y = sum;
  y.a = add16(sum.a, w, x.a);
  if (K > 16u) { y.b = add16(sum.b, w, x.b); }
  if (K > 32u) { y.c = add16(sum.c, w, x.c); }
  if (K > 48u) { y.d = add16(sum.d, w, x.d); }
  return y;
}
fn head_scale(x: Head, w: f32) -> Head {
  var y = x;
  y.a = scale16(x.a, w);
  if (K > 16u) { y.b = scale16(x.b, w); }
  if (K > 32u) { y.c = scale16(x.c, w); }
  if (K > 48u) { y.d = scale16(x.d, w); }
  return y;
}
