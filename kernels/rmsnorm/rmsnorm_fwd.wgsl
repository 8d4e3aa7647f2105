// rmsnorm_fwd: y[i, :] = x[i, :] · r[i] with r[i] = 1 / √(mean_d x[i, d]² + eps), kept for the gradient.
// Layout: x, y [R, D], r [R], f32. LANES threads own a row, a thread every LANES-th vec4 of it; a workgroup 64 / LANES
// rows; the threads' shares are added in order. 256 bytes of workgroup memory. Host: D % 4 = 0.
struct Params { r: u32, d: u32, eps: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> r: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

const LANES: u32 = 16; // @tune
var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  let width = p.d / 4u;
  let lane = lid % LANES;
  var sum = 0.0;
  if (row < p.r) {
    for (var c = lane; c < width; c += LANES) { sum += dot(x[row * width + c], x[row * width + c]); }
  }
  parts[lid] = sum;
  workgroupBarrier();
  if (row >= p.r) { return; }
  var total = 0.0;
  for (var k = 0u; k < LANES; k++) { total += parts[lid - lane + k]; }
  let inverse = inverse_sqrt(total / f32(p.d) + p.eps);
  if (lane == 0u) { r[row] = inverse; }
  for (var c = lane; c < width; c += LANES) { y[row * width + c] = x[row * width + c] * inverse; }
}
// @use group_index, inverse_sqrt
