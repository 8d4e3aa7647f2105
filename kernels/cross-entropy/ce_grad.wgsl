// ce_grad: logits ← weight · (softmax − (1 − smooth_by) · one-hot of the target − even), in place; columns from cols to ld
//   become 0. Label smoothing ε (Szegedy et al. 2016, §7): smooth_by = ε, even = ε / V.
// Layouts: logits [R, ld] for the columns col0 … col0 + cols − 1 of the catalog (ld a multiple of 4), targets u32 [R],
//   weights f32 [R], stats [R] of (maximum, Σ exp(x − maximum), target's logit, Σ x).
// A workgroup of W threads owns a row (8 on software adapters, where a workgroup is one subgroup); a thread owns every
//   Wth vec4. No workgroup memory.
// Rows of weight 0 become 0; the products that follow multiply them by x, so that a NaN in such a row of x still reaches
//   its column of the table's gradient. Host: stats are complete; Σ exp is NaN where a logit is, since exp may lose it.
const W: u32 = 64; // @tune
struct Params { r: u32, cols: u32, ld: u32, col0: u32, smooth_by: f32, even: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> stats: array<vec4f>;

@compute @workgroup_size(W)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group_index(wid, grid);
  if (row >= p.r) { return; }
  let base = row * p.ld / 4u;
  let quads = p.ld / 4u;
  let w = weights[row];
  if (is_zero(w)) {
    for (var i = lane; i < quads; i += W) { logits[base + i] = vec4f(); }
    return;
  }
  let st = stats[row];
  let factor = w / st.y;
  let even = w * p.even;
  let one = w * (1.0 - p.smooth_by);
  let t = targets[row] - p.col0;
  let hit = select(0xffffffffu, t / 4u, t < p.cols);
  let full = p.cols / 4u;
  for (var i = lane; i < full; i += W) {
    var g = exp(logits[base + i] - st.x) * factor - even;
    if (i == hit) { g -= select(vec4f(), vec4f(one), vec4u(0u, 1u, 2u, 3u) == vec4u(t % 4u)); }
    logits[base + i] = g;
  }
  // The last, partial vec4 and the padding.
  for (var i = full + lane; i < quads; i += W) {
    let at = vec4u(0u, 1u, 2u, 3u) + i * 4u;
    var g = exp(min(logits[base + i] - st.x, vec4f())) * factor - even;
    if (i == hit) { g -= select(vec4f(), vec4f(one), vec4u(0u, 1u, 2u, 3u) == vec4u(t % 4u)); }
    logits[base + i] = select(vec4f(), g, at < vec4u(p.cols));
  }
}
// @use group_index, nan
