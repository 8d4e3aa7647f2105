// log_blend: scores[u, j] = scores[u, j] / σ[u] + b·log(max(more[u, j], 0) + ε), in place, or with `keep` σ[u] times that:
// scores keep their scale. σ is the standard deviation that moments[u] = (x₀, n, Σ (x − x₀), Σ (x − x₀)²) gives, 1 where that is 0; (b, ε) = weights.
// Layout: scores, more [U, V], moments [U] vec4, weights [2]. A thread owns a score, a workgroup 256. No workgroup memory.
// What is not finite in scores or more, or a NaN ε, gives NaN, which max, log, and the comparison would hide. Host: ε > 0, n > 0.
struct Params { rows: u32, v: u32, keep: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> more: array<f32>;
@group(0) @binding(2) var<storage, read> moments: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.rows * p.v) { return; }
  let m = moments[i / p.v];
  let mean = m.z / m.y;
  let variance = m.w / m.y - mean * mean;
  var scale = 1.0;
  if (variance > 1e-30) { scale = inverseSqrt(variance); }
  var y = scale * scores[i];
  if (!is_zero(weights[0])) { y += weights[0] * log(max(more[i], 0.0) + weights[1]); }
  if (not_finite(variance) || (!is_zero(weights[0]) && (not_finite(more[i]) || is_nan(weights[1])))) { y = make_nan(i); }
  scores[i] = select(y, y / scale, p.keep == 1u);
}
// @use group_index, nan, not_finite
