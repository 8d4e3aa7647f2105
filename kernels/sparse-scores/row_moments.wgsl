// row_moments: moments[u] = (x₀, n, Σ (x − x₀), Σ (x − x₀)²) over row u of scores, x₀ its first score: the shift keeps the
// variance from cancelling. start = 0 adds to what an earlier tile of columns gave, with that tile's x₀.
// Layout: scores [U, V], moments [U] vec4. A workgroup owns a row, a thread every 64th score; sums run in a fixed order.
// Workgroup memory 512 bytes. Host: scores are finite.
struct Params { rows: u32, v: u32, start: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec4f>;

var<workgroup> sums: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  var before = vec4f(scores[row * p.v], 0.0, 0.0, 0.0);
  if (p.start == 0u) { before = moments[row]; }
  var sum = vec2f(0.0);
  for (var j = lid; j < p.v; j += 64u) {
    let x = scores[row * p.v + j] - before.x;
    sum += vec2f(x, x * x);
  }
  sums[lid] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lid < half) { sums[lid] += sums[lid + half]; }
    workgroupBarrier();
  }
  if (lid == 0u) { moments[row] = before + vec4f(0.0, f32(p.v), sums[0]); }
}
// @use group_index
