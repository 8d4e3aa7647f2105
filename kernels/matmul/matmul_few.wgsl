// matmul_few: C = A · Bᵀ for a few rows of A, as one user's state against a table of items; no batch, bias or activation.
// Layouts: A [M, K] with row stride lda, B [N, K] with ldb, C [M, N] with ldc, in elements.
// A workgroup owns 64 columns of C and all of its rows, a thread a column: it reads its row of B once, and each vec4 of it
//   counts for all of the rows. No workgroup memory. Grid: ⌈N / 64⌉.
// Host: M ≤ ROWS; K, lda and ldb are multiples of 4.
const ROWS: u32 = 4; // @tune
struct Params { m: u32, n: u32, k: u32, lda: u32, ldb: u32, ldc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let col = group_index(wid, grid) * 64u + lid;
  if (col >= p.n) { return; }
  let at = col * (p.ldb / 4u);
  var sums: array<f32, ROWS>;
  for (var k = 0u; k < p.k / 4u; k++) {
    let y = b[at + k];
    for (var r = 0u; r < ROWS; r++) { sums[r] += dot(a[min(r, p.m - 1u) * (p.lda / 4u) + k], y); }
  }
  for (var r = 0u; r < ROWS; r++) {
    if (r < p.m) { c[r * p.ldc + col] = sums[r]; }
  }
}
// @use group_index
