// rmsnorm_bwd: dx[i, :] = [dx +] r[i] · (dy[i, :] − y[i, :] · mean_d y[i, d] dy[i, d]); adds to dx where acc = 1.
// Layout: y, dy, dx [R, D], r [R], f32. LANES threads own a row, a thread every LANES-th vec4 of it; a workgroup
// 64 / LANES rows; the threads' shares are added in order. 256 bytes of workgroup memory. Host: D % 4 = 0.
struct Params { r: u32, d: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> r: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

const LANES: u32 = 16; // @tune
var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  let width = p.d / 4u;
  let lane = lid % LANES;
  var sum = 0.0;
  if (row < p.r) {
    for (var c = lane; c < width; c += LANES) { sum += dot(y[row * width + c], dy[row * width + c]); }
  }
  parts[lid] = sum;
  workgroupBarrier();
  if (row >= p.r) { return; }
  var total = 0.0;
  for (var k = 0u; k < LANES; k++) { total += parts[lid - lane + k]; }
  let inverse = r[row];
  for (var c = lane; c < width; c += LANES) {
    let at = row * width + c;
    var g = inverse * (dy[at] - y[at] * total / f32(p.d));
    if (p.acc == 1u) { g += dx[at]; }
    dx[at] = g;
  }
}
// @use group_index
