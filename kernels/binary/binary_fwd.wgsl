// binary_fwd: y[i] = a[i mod na] ∘ b[i mod nb]; OP is 0 a + b, 1 a − b, 2 a · b, 3 a / b.
// Layout: a [na], b [nb], y [n], f32; na and nb are n, 1 or the size of a suffix of y's shape.
// A thread owns one vec4 of y, a workgroup 1,024 elements. No workgroup memory.
// Host: na and nb divide n; buffers are padded to 16 bytes; the last vec4 may touch the padding.
struct Params { n: u32, na: u32, nb: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
const OP: u32 = 0; // @tune

fn load_a(i: u32) -> vec4f {
  if (p.na == p.n) { return a[i]; }
  if (p.na == 1u) { return vec4f(a[0].x); }
  if (p.na % 4u == 0u) { return a[i % (p.na / 4u)]; }
  let e = (vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u)) % p.na;
  return vec4f(a[e.x / 4u][e.x % 4u], a[e.y / 4u][e.y % 4u], a[e.z / 4u][e.z % 4u], a[e.w / 4u][e.w % 4u]);
}

fn load_b(i: u32) -> vec4f {
  if (p.nb == p.n) { return b[i]; }
  if (p.nb == 1u) { return vec4f(b[0].x); }
  if (p.nb % 4u == 0u) { return b[i % (p.nb / 4u)]; }
  let e = (vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u)) % p.nb;
  return vec4f(b[e.x / 4u][e.x % 4u], b[e.y / 4u][e.y % 4u], b[e.z / 4u][e.z % 4u], b[e.w / 4u][e.w % 4u]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  let u = load_a(i);
  let v = load_b(i);
  var r = u + v;
  if (OP == 1u) { r = u - v; }
  if (OP == 2u) { r = u * v; }
  if (OP == 3u) { r = u / v; }
  y[i] = r;
}
// @use group_index
