// matmul_tile: C = act(op(A) · op(B) + bias), the variant that runs everywhere and takes any shape.
// Layouts: op(A) is [M, K] stored with row stride lda ([K, M] if TRANS_A), op(B) [K, N] with ldb ([N, K] if TRANS_B),
//   C and Z [M, N] with ldc; sa, sb, sc are the strides of a batch, all in elements. Z receives op(A)·op(B) + bias
//   before the activation (FLAG_Z); db receives (+=) the column sums of op(B) (FLAG_COLUMN_SUMS: a bias gradient for free).
// A workgroup of 16 × 16 threads owns 64 rows × 64 columns of C, a thread 4 × 4 (rows and columns 16 apart, so that
//   neighbors touch neighbors); it walks K in slices of 16 through 8,320 bytes of workgroup memory.
// FLAG_RESIDUAL and FLAG_DROPOUT: C = residual + dropout(act(…)), residual [M, N] laid out as C; the mask is that of dropout.wgsl over
//   C's elements in their order (op, threshold, scale; state: seed, step, …, 5 dropout on).
// Grid: (⌈N/64⌉, ⌈M/64⌉, batch), or their product where one of them passes 65,535 (FOLDED). Host: nothing beyond the shapes.
const TRANS_A: bool = false; // @tune
const TRANS_B: bool = false; // @tune
const ACT: u32 = 0; // @tune
const FLAGS: u32 = 0; // @tune
const FOLDED: bool = false; // @tune
const SLICE = 16u;
struct Params { m: u32, n: u32, k: u32, lda: u32, ldb: u32, ldc: u32, sa: u32, sb: u32, sc: u32, batch: u32,
  op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;
@group(0) @binding(5) var<storage, read_write> z: array<f32>;
@group(0) @binding(6) var<storage, read_write> db: array<f32>;
@group(0) @binding(7) var<storage, read> residual: array<f32>;
@group(0) @binding(8) var<storage, read> state: array<u32>;
var<workgroup> tile_a: array<f32, 1040>; // [k][row], 65 apart against bank conflicts
var<workgroup> tile_b: array<f32, 1040>; // [k][column]

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_id) tid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let wid = tile_index(group, grid, (p.n + 64u - 1u) / 64u, (p.m + 64u - 1u) / 64u);
  if (FOLDED && wid.z >= p.batch) { return; }
  let row0 = wid.y * 64u;
  let col0 = wid.x * 64u;
  let base_a = wid.z * p.sa;
  let base_b = wid.z * p.sb;
  var acc: array<vec4f, 4>; // acc[i] holds row tid.y + 16 i at columns tid.x + 16 (0 … 3)
  var sum = vec4f();
  for (var k0 = 0u; k0 < p.k; k0 += SLICE) {
    for (var i = lid; i < 1024u; i += 256u) {
      // Threads walk the axis that is contiguous in memory.
      let ka = select(i % SLICE, i / 64u, TRANS_A);
      let ra = select(i / SLICE, i % 64u, TRANS_A);
      let row = row0 + ra;
      let k = k0 + ka;
      var value = 0.0;
      if (row < p.m && k < p.k) { value = a[base_a + select(row * p.lda + k, k * p.lda + row, TRANS_A)]; }
      tile_a[ka * 65u + ra] = value;
      let kb = select(i / 64u, i % SLICE, TRANS_B);
      let cb = select(i % 64u, i / SLICE, TRANS_B);
      let col = col0 + cb;
      let kk = k0 + kb;
      value = 0.0;
      if (col < p.n && kk < p.k) { value = b[base_b + select(kk * p.ldb + col, col * p.ldb + kk, TRANS_B)]; }
      tile_b[kb * 65u + cb] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < SLICE; k++) {
      let at = k * 65u;
      let y = vec4f(tile_b[at + tid.x], tile_b[at + tid.x + 16u], tile_b[at + tid.x + 32u], tile_b[at + tid.x + 48u]);
      acc[0] += tile_a[at + tid.y] * y;
      acc[1] += tile_a[at + tid.y + 16u] * y;
      acc[2] += tile_a[at + tid.y + 32u] * y;
      acc[3] += tile_a[at + tid.y + 48u] * y;
      sum += y;
    }
    workgroupBarrier();
  }
  let base_c = wid.z * p.sc;
  for (var i = 0u; i < 4u; i++) {
    let row = row0 + tid.y + 16u * i;
    for (var j = 0u; j < 4u; j++) {
      let col = col0 + tid.x + 16u * j;
      if (row < p.m && col < p.n) {
        let at = base_c + row * p.ldc + col;
        var v = acc[i][j];
        if ((FLAGS & FLAG_BIAS) != 0u) { v += bias[col]; }
        if ((FLAGS & FLAG_Z) != 0u) { z[at] = v; }
        if ((FLAGS & FLAG_SLOPE) != 0u) { v *= activate_slope4(ACT, vec4f(z[at])).x; } else { v = activate4(ACT, vec4f(v)).x; }
        if ((FLAGS & FLAG_DROPOUT) != 0u && state[STATE_DROPOUT] != 0u) {
          v *= keep1(vec2u(state[STATE_SEED], state[STATE_STEP]), p.op, at, p.threshold, p.scale);
        }
        if ((FLAGS & FLAG_RESIDUAL) != 0u) { v += residual[at]; }
        if ((FLAGS & FLAG_ADD) != 0u) { v += c[at]; }
        c[at] = v;
      }
    }
  }
  if ((FLAGS & FLAG_COLUMN_SUMS) != 0u && wid.y == 0u && tid.y == 0u) {
    for (var j = 0u; j < 4u; j++) {
      let col = col0 + tid.x + 16u * j;
      if (col < p.n) { db[col] += sum[j]; }
    }
  }
}
// @use activate, keep, tile_index, state, matmul_flags
