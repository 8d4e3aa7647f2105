// ce_stats for adapters that compute on the CPU, where barriers cost more than strides: formula and layouts as in
// ce_stats.wgsl. A thread owns a row, a workgroup 16; four vec4 at a time share the maximum. No workgroup memory.
// Rows of weight 0 are skipped. Host: what lies between cols and ld is never counted.
struct Params { r: u32, cols: u32, ld: u32, col0: u32, first: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>;

fn max4(x: vec4f) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 16u + lid;
  if (row >= p.r) { return; }
  if (is_zero(weights[row])) { return; }
  var m = -3e38;
  var s4 = vec4f();
  var x4 = vec4f();
  let base = row * p.ld / 4u;
  let end = base + p.cols / 4u;
  var i = base;
  for (; i + 4u <= end; i += 4u) {
    let a = logits[i];
    let b = logits[i + 1u];
    let c = logits[i + 2u];
    let d = logits[i + 3u];
    let next = max(m, max4(max(max(a, b), max(c, d))));
    s4 = s4 * exp(m - next) + ((exp(a - next) + exp(b - next)) + (exp(c - next) + exp(d - next)));
    x4 += (a + b) + (c + d);
    m = next;
  }
  for (; i < end; i++) {
    let x = logits[i];
    let next = max(m, max4(x));
    s4 = s4 * exp(m - next) + exp(x - next);
    x4 += x;
    m = next;
  }
  let rest = p.cols % 4u;
  if (rest > 0u) {
    let inside = vec4u(0u, 1u, 2u, 3u) < vec4u(rest);
    let x = select(vec4f(-3e38), logits[end], inside);
    let next = max(m, max4(x));
    s4 = s4 * exp(m - next) + select(vec4f(), exp(x - next), inside);
    x4 += select(vec4f(), x, inside);
    m = next;
  }
  var s = dot(s4, vec4f(1.0));
  var total = dot(x4, vec4f(1.0));
  var hit = make_nan(row); // until a block holds the target: a label beyond the catalog makes the loss NaN
  if (p.first == 0u) {
    let old = stats[row];
    let top = max(m, old.x);
    s = s * exp(m - top) + old.y * exp(old.x - top);
    m = top;
    hit = old.z;
    total += old.w;
  }
  let t = targets[row] - p.col0; // wraps around below col0
  if (t < p.cols) { hit = logits[base + t / 4u][t % 4u]; }
  stats[row] = vec4f(m, or_nan(s, total), hit, total); // exp may have lost a NaN, the sum did not
}
// @use group_index, nan
