// row_dot_fwd: y[i] = Σ_d a[i, d] · b[i, d].
// Layout: a, b [R, D], y [R], f32. LANES threads own a row, a thread every LANES-th vec4 of it; a workgroup 64 / LANES
// rows; the threads' shares are added in order. 256 bytes of workgroup memory. Host: D % 4 = 0.
struct Params { r: u32, d: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const LANES: u32 = 16; // @tune
var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  let width = p.d / 4u;
  var sum = 0.0;
  if (row < p.r) {
    for (var c = lid % LANES; c < width; c += LANES) { sum += dot(a[row * width + c], b[row * width + c]); }
  }
  parts[lid] = sum;
  workgroupBarrier();
  if (row < p.r && lid % LANES == 0u) {
    for (var k = 1u; k < LANES; k++) { sum += parts[lid + k]; }
    y[row] = sum;
  }
}
// @use group_index
