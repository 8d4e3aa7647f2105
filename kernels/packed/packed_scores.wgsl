// packed_scores: c[r, j] = scales[row + j] · Σ_d a[r, d] · q[row + j, d], q being the numbers of a compressed table.
// Layout: a [R, D]; words and scales [V] of a table [V, D] (lib/packed4.wgsl); c [R, N] with rows ldc apart.
// A workgroup owns ROWS rows × 64 columns of c, a thread a column: it reads its row of the table once, and each vec4 of it
// counts for all of the rows. No workgroup memory. Grid: ⌈N / 64⌉ · ⌈R / ROWS⌉, columns first.
// Host: D % 4 = 0, row + N ≤ V.
struct Params { r: u32, n: u32, d: u32, row: u32, ldc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> words: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

const BITS: u32 = 8; // @tune
const ROWS: u32 = 8; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid);
  let tiles = (p.n + 63u) / 64u;
  let r0 = i / tiles * ROWS;
  let col = i % tiles * 64u + lid;
  if (r0 >= p.r || col >= p.n) { return; }
  let width = p.d / 4u;
  let at = (p.row + col) * width;
  var sums: array<f32, ROWS>;
  for (var k = 0u; k < width; k++) {
    let y = packed4(at + k);
    for (var r = 0u; r < ROWS; r++) { sums[r] += dot(a[min(r0 + r, p.r - 1u) * width + k], y); }
  }
  let scale = scales[p.row + col];
  for (var r = 0u; r < ROWS; r++) {
    if (r0 + r < p.r) { c[(r0 + r) * p.ldc + col] = sums[r] * scale; }
  }
}
// @use group_index, packed4
