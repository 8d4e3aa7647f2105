// rank_of: ranks[r] = 1 + number of items above the target's score + number of other items equal to it (ties count
// against the target). 0xffffffff where there is no target (≥ V) or it is masked (score ≤ −3e38); 0 where any score of
// the row is NaN or infinite, found by bits: such a row has no ranks.
// Layout: scores [R, V], targets, ranks [R] (u32). A workgroup owns a row, a thread every WG-th vec4; rows need not start
// at a multiple of four. Workgroup memory 8·WG bytes. Host: buffers are padded to 16 bytes.
struct Params { rows: u32, v: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> ranks: array<u32>;

const WG: u32 = 64; // @tune

var<workgroup> counts: array<vec2u, WG>; // at or above the target, not finite

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let first = row * p.v;
  let target_item = targets[row];
  var target_key = 0u;
  if (target_item < p.v) { target_key = sort_key(scores[(first + target_item) / 4u][(first + target_item) % 4u]); }
  var above = vec4u(0u);
  var broken = vec4u(0u);
  for (var q = first / 4u + lid; q < (first + p.v + 3u) / 4u; q += WG) {
    let four = scores[q];
    let bits = bitcast<vec4u>(four);
    let inside = vec4u(4u * q - first) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.v);
    let positive = select(bits, vec4u(0u), bits == vec4u(0x80000000u));
    let key = select(positive | vec4u(0x80000000u), ~positive, (positive >> vec4u(31u)) == vec4u(1u));
    above += select(vec4u(0u), vec4u(1u), inside & (key >= vec4u(target_key)));
    broken += select(vec4u(0u), vec4u(1u), inside & ((bits & vec4u(0x7f800000u)) == vec4u(0x7f800000u)));
  }
  counts[lid] = vec2u(above.x + above.y + above.z + above.w, broken.x + broken.y + broken.z + broken.w);
  workgroupBarrier();
  if (lid != 0u) { return; }
  var all = vec2u(0u);
  for (var i = 0u; i < WG; i++) { all += counts[i]; }
  // The target itself is among those at or above it: that is the 1 of the rank.
  var rank = all.x;
  if (target_item >= p.v || target_key <= MASKED_KEY) { rank = 0xffffffffu; }
  if (all.y > 0u) { rank = 0u; }
  ranks[row] = rank;
}
// @use group_index, sort_key
