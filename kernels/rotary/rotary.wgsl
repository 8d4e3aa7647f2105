// rotary: turns each pair (x[2c], x[2c + 1]) of the q and k columns by ± the angle of its token's position (RoFormer, Su et
// al. 2021, eq. 34); the v columns are copied. Backward is the turn back: sign = −1, x and y being dy and dx.
// Layout: x, y [L, parts · HK], the first `rotated` parts being rotated: q|k|v (3, 2), q (1, 1) or k|v (2, 1); positions [L];
// angles [T, K] of (cos, sin), K / 2 pairs a row.
// A thread owns one vec4 (two pairs), a workgroup 256. No workgroup memory. Adds to y where acc = 1.
// A position of T and beyond gives NaN. Host: K % 4 = 0; n = L · parts · HK / 4.
struct Params { n: u32, heads: u32, k: u32, parts: u32, rotated: u32, t: u32, sign: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> angles: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.n) { return; }
  let k4 = p.k / 4u;
  let d4 = p.heads * k4;
  let column = i % (p.parts * d4);
  var v = x[i];
  if (column < p.rotated * d4) {
    let at = positions[i / (p.parts * d4)];
    var a = vec4f(make_nan(at)); // cos, sin, cos, sin
    if (at < p.t) { a = angles[at * k4 + column % k4]; }
    let s = p.sign * vec2f(a.y, a.w);
    v = vec4f(v.x * a.x - v.y * s.x, v.x * s.x + v.y * a.x, v.z * a.z - v.w * s.y, v.z * s.y + v.w * a.z);
  }
  if (p.acc == 1u) { v += y[i]; }
  y[i] = v;
}
// @use group_index, nan
