// coded_scores: c[r, j] = Σ_m s[r, 256 m + codes[row + j, m]], with scaled = 1 times scales[row + j]; with norm = 1 instead
// 1 / √(Σ_m … + 1e-12). s are the scores of the parts: a product of D numbers is M sums.
// Layout: codes [V, M], a byte each, four to a word; s [R, 256 M]; scales [V]; c [R, N] with rows ldc apart.
// A workgroup owns ROWS rows × 64 columns of c, a thread a column: it reads its codes once, for all of the rows. No workgroup
// memory. Grid: ⌈N / 64⌉ · ⌈R / ROWS⌉, columns first.
// Host: M = 4 WORDS, row + N ≤ V. scaled = 0 leaves the scales unread.
const WORDS: u32 = 2; // @tune
const ROWS: u32 = 8; // @tune
struct Params { r: u32, n: u32, row: u32, ldc: u32, scaled: u32, norm: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read> codes: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid);
  let tiles = (p.n + 63u) / 64u;
  let r0 = i / tiles * ROWS;
  let col = i % tiles * 64u + lid;
  if (r0 >= p.r || col >= p.n) { return; }
  var sums: array<f32, ROWS>;
  let none = p.n >> 31u; // 0, which the driver does not know: it would write out the loops
  for (var w = 0u; w < WORDS + none; w++) {
    let word = codes[(p.row + col) * WORDS + w];
    for (var b = 0u; b < 4u + none; b++) {
      let at = (4u * w + b) * 256u + extractBits(word, 8u * b, 8u);
      for (var r = 0u; r < ROWS; r++) { sums[r] += s[min(r0 + r, p.r - 1u) * WORDS * 1024u + at]; }
    }
  }
  var scale = 1.0;
  if (p.scaled == 1u) { scale = scales[p.row + col]; }
  for (var r = 0u; r < ROWS; r++) {
    if (r0 + r < p.r) {
      var sum = sums[r] * scale;
      if (p.norm == 1u) { sum = inverse_sqrt(sums[r] + 1e-12); }
      c[(r0 + r) * p.ldc + col] = sum;
    }
  }
}
// @use group_index, inverse_sqrt
