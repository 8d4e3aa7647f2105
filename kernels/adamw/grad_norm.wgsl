// grad_norm: partial[at + g] = Σ x² over the elements that workgroup g reads, as f32 bits; +∞ if any of them is NaN or ∞
// (found by bits, since WGSL lets a compiler assume finite numbers).
// Layout: x [n]; partial u32. A fixed number of workgroups, each thread every (256 · p.groups)-th vec4; the threads' sums
// are added in order. Workgroup memory 2 KiB.
// Host: buffers are padded to 16 bytes; what stands there is not counted.
struct Params { n: u32, at: u32, groups: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> partial: array<u32>;

var<workgroup> sums: array<f32, 256>;
var<workgroup> bad: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  var sum = vec4f(0.0);
  var worst = vec4u(0u);
  for (var i = wid.x * 256u + lid; i * 4u < p.n; i += 256u * p.groups) {
    let v = select(vec4f(0.0), x[i], vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.n));
    sum += v * v;
    worst = max(worst, bitcast<vec4u>(v) & vec4u(0x7f800000u));
  }
  sums[lid] = dot(sum, vec4f(1.0));
  bad[lid] = max(max(worst.x, worst.y), max(worst.z, worst.w));
  workgroupBarrier();
  if (lid != 0u) { return; }
  var total = 0.0;
  var top = 0u;
  for (var i = 0u; i < 256u; i++) {
    total += sums[i];
    top = max(top, bad[i]);
  }
  partial[p.at + wid.x] = select(bitcast<u32>(total), 0x7f800000u, top == 0x7f800000u);
}
