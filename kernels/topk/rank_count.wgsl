// rank_count: adds to counts[r] how many scores of this tile of columns are at or above the score of the row's target, and how many are
// not finite (found by bits); the first tile (start = 1) sets them. The last tile (finish = 1) gives the ranks as rank_of
// does: the first count; 0xffffffff where the target is masked (≤ −3e38) or absent; 0 where a score was NaN or infinite.
// Layout: scores [R, V], target_scores [R], counts [R, 2] (u32), ranks [R] (u32). A workgroup of 64 threads owns a row, a thread
// every 64th score. Workgroup memory 512 bytes.
struct Params { rows: u32, v: u32, start: u32, finish: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> target_scores: array<f32>;
@group(0) @binding(3) var<storage, read_write> counts: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> ranks: array<u32>;

var<workgroup> parts: array<vec2u, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let target_key = sort_key(target_scores[row]);
  var mine = vec2u(0u);
  for (var i = lid; i < p.v; i += 64u) {
    let score = scores[row * p.v + i];
    if (not_finite(score)) { mine.y++; } else if (sort_key(score) >= target_key) { mine.x++; }
  }
  parts[lid] = mine;
  workgroupBarrier();
  if (lid != 0u) { return; }
  var all = vec2u(0u);
  if (p.start == 0u) { all = counts[row]; }
  for (var i = 0u; i < 64u; i++) { all += parts[i]; }
  counts[row] = all;
  if (p.finish == 1u) {
    let missing = target_key <= MASKED_KEY;
    ranks[row] = select(select(all.x, 0xffffffffu, missing), 0u, all.y > 0u);
  }
}
// @use group_index, not_finite, sort_key
