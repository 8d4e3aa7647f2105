enable subgroups;
// grad_norm for subgroups of exactly 8: partial[at + g] = Σ x² over the elements that workgroup g reads, as f32 bits; +∞ if
// any of them is NaN or ∞ (found by bits, since WGSL lets a compiler assume finite numbers).
// Layout: x [n]; partial u32. A workgroup of 8 reads every (8 · p.groups)-th vec4 a lane. No workgroup memory.
// Host: buffers are padded to 16 bytes; what stands there is not counted.
struct Params { n: u32, at: u32, groups: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partial: array<u32>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lane: u32) {
  var sum = vec4f(0.0);
  var worst = vec4u(0u);
  let whole = p.n / 4u;
  for (var i = wid.x * 8u + lane; i < whole; i += 8u * p.groups) {
    let v = x[i];
    sum += v * v;
    worst = max(worst, bitcast<vec4u>(v) & vec4u(0x7f800000u));
  }
  if (p.n % 4u != 0u && wid.x == 0u && lane == 0u) {
    let v = select(vec4f(0.0), x[whole], vec4u(0u, 1u, 2u, 3u) < vec4u(p.n % 4u));
    sum += v * v;
    worst = max(worst, bitcast<vec4u>(v) & vec4u(0x7f800000u));
  }
  let total = sum8(sum.x + sum.y + sum.z + sum.w);
  let top = subgroupMax(max(max(worst.x, worst.y), max(worst.z, worst.w)));
  if (lane == 0u) { partial[p.at + wid.x] = select(bitcast<u32>(total), 0x7f800000u, top == 0x7f800000u); }
}
// @use lanes8
