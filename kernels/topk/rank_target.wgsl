// rank_target: target_scores[r] = the score of row r's target where it is among the items first … first + V − 1; other rows keep
// theirs, which start (start = 1) as −3e38.
// Layout: scores [R, V], targets, target_scores [R]. A thread owns a row, a workgroup 64. No workgroup memory.
struct Params { rows: u32, v: u32, first: u32, start: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> target_scores: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 64u + lid;
  if (row >= p.rows) { return; }
  let at = targets[row] - p.first; // wraps around below first
  if (at < p.v) { target_scores[row] = scores[row * p.v + at]; } else if (p.start == 1u) { target_scores[row] = -3e38; }
}
// @use group_index
