// log_blend: scores[u, j] = a·scores[u, j] + b·log(max(more[u, j], 0) + ε), in place, (a, b, ε, –) = weights[u].
// Layout: scores, more [U, V], weights [U] vec4. A thread owns a score, a workgroup 256. No workgroup memory.
// Host: ε > 0.
struct Params { rows: u32, v: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> more: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.rows * p.v) { return; }
  let w = weights[i / p.v];
  scores[i] = w.x * scores[i] + w.y * log(max(more[i], 0.0) + w.z);
}
// @use group_index
