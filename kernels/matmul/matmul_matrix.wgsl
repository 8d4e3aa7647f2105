enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
// matmul_matrix: C = act(op(A) · op(B) + bias) through subgroup matrices (tensor cores), f16 in and f32 out. For precision=mixed
// alone. Never run on hardware by us: it is validated, and its arithmetic tested with the matrices' functions stood in for.
// Layouts: op(A) is [M, K] stored with row stride lda ([K, M] if TRANS_A), op(B) [K, N] with ldb ([N, K] if TRANS_B),
//   C and Z [M, N] with ldc; sa, sb, sc are the strides of a batch, all in elements. Z receives op(A)·op(B) + bias
//   before the activation (FLAG_Z); db receives (+=) the column sums of op(B) (FLAG_COLUMN_SUMS: a bias gradient for free).
// A workgroup owns BM × BN of C, each of its subgroups of LANES lanes WM × WN of it, in matrices of SM × SN. K goes in slices
//   of BK: threads stage 4 × 4 blocks as [k][row] and [k][column] in f16 (lines 8 elements longer, against bank conflicts),
//   of which the subgroups load matrices of SK. At the end a subgroup stores one matrix at a time into a scratch of its
//   own, from where its lanes take vec4s through the epilogue.
// An operand is scaled by a power of two first (scale_a, scale_b: gradients would lie below what f16 holds) and clamped to
//   ±65,504; the sums are multiplied by `unscale` = 1 / (scale_a · scale_b).
// Workgroup memory: 2 · BK · (BM + BN + 16) + 4 · SM · SN · (BM / WM) · (BN / WN) bytes (12.5 KiB at 128 × 128 × 16).
// FLAG_RESIDUAL and FLAG_DROPOUT: C = residual + dropout(act(…)), residual [M, N] laid out as C; the mask is that of dropout.wgsl over
//   C's elements in their order (op, threshold, scale; state: seed, step, …, 5 dropout on).
// Grid: (⌈N/BN⌉, ⌈M/BM⌉, batch), or their product where one of them passes 65,535 (FOLDED). K of the last matrix of a batch is `last`. Host: all strides are multiples of 4 (K, M and
//   N need not be); what lies between N and ldc may be overwritten; subgroups have LANES lanes; the adapter lists
//   SM × SN × SK with f16 in and f32 out.
const TRANS_A: bool = false; // @tune
const TRANS_B: bool = false; // @tune
const ACT: u32 = 0; // @tune
const FLAGS: u32 = 0; // @tune
const FOLDED: bool = false; // @tune
const BM: u32 = 64; // @tune
const BN: u32 = 64; // @tune
const BK: u32 = 32; // @tune
const WM: u32 = 32; // @tune
const WN: u32 = 32; // @tune
const SM: u32 = 16; // @tune
const SN: u32 = 16; // @tune
const SK: u32 = 16; // @tune
const LANES = 32u;
const ACROSS = BN / WN; // subgroups along N
const THREADS = LANES * ACROSS * (BM / WM);
const LINE_A = BM + 8u;
const LINE_B = BN + 8u;
const DOWN = WM / SM; // matrices of a subgroup along M
const ALONG = WN / SN;
alias Left = subgroup_matrix_left<f16, SK, SM>;
alias Right = subgroup_matrix_right<f16, SN, SK>;
alias Sum = subgroup_matrix_result<f32, SN, SM>;
const DROP_LATER = false;
struct Params { m: u32, n: u32, k: u32, lda: u32, ldb: u32, ldc: u32, sa: u32, sb: u32, sc: u32, batch: u32, last: u32,
  op: u32, threshold: u32, scale: f32, scale_a: f32, scale_b: f32, unscale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> z: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> db: array<f32>;
@group(0) @binding(7) var<storage, read> residual: array<vec4f>;
@group(0) @binding(8) var<storage, read> state: array<u32>;
fn state_word(i: u32) -> u32 { return state[i]; }
var<workgroup> tile_a: array<f16, BK * LINE_A>;
var<workgroup> tile_b: array<f16, BK * LINE_B>;
var<workgroup> scratch: array<f32, THREADS / LANES * SM * SN>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lid: u32, @builtin(subgroup_id) sg: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  let wid = tile_index(group, grid, (p.n + BN - 1u) / BN, (p.m + BM - 1u) / BM);
  if (FOLDED && wid.z >= p.batch) { return; }
  let row0 = wid.y * BM;
  let col0 = wid.x * BN;
  let base_a = wid.z * p.sa;
  let base_b = wid.z * p.sb;
  let depth = select(p.k, p.last, wid.z + 1u == p.batch);
  let my_row = sg / ACROSS * WM;
  let my_col = sg % ACROSS * WN;
  var acc: array<Sum, DOWN * ALONG>;
  var sum = 0.0;
  for (var k0 = 0u; k0 < depth; k0 += BK) {
    // Threads walk the axis that is contiguous in memory.
    for (var i = lid; i < BM / 4u * (BK / 4u); i += THREADS) {
      let quad = select(i / (BK / 4u), i % (BM / 4u), TRANS_A);
      let k = 4u * select(i % (BK / 4u), i / (BM / 4u), TRANS_A);
      let v = block_a(base_a, row0 + 4u * quad, k0 + k, depth);
      for (var j = 0u; j < 4u; j++) {
        let x = narrow4(v[j] * p.scale_a);
        let at = (k + j) * LINE_A + 4u * quad;
        tile_a[at] = x.x;
        tile_a[at + 1u] = x.y;
        tile_a[at + 2u] = x.z;
        tile_a[at + 3u] = x.w;
      }
    }
    for (var i = lid; i < BN / 4u * (BK / 4u); i += THREADS) {
      let quad = select(i % (BN / 4u), i / (BK / 4u), TRANS_B);
      let k = 4u * select(i / (BN / 4u), i % (BK / 4u), TRANS_B);
      let v = block_b(base_b, col0 + 4u * quad, k0 + k, depth);
      for (var j = 0u; j < 4u; j++) {
        let x = narrow4(v[j] * p.scale_b);
        let at = (k + j) * LINE_B + 4u * quad;
        tile_b[at] = x.x;
        tile_b[at + 1u] = x.y;
        tile_b[at + 2u] = x.z;
        tile_b[at + 3u] = x.w;
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < BK; k += SK) {
      var left: array<Left, DOWN>;
      for (var i = 0u; i < DOWN; i++) {
        left[i] = subgroupMatrixLoad<Left, col_major>(&tile_a, k * LINE_A + my_row + i * SM, LINE_A);
      }
      for (var j = 0u; j < ALONG; j++) {
        let right = subgroupMatrixLoad<Right, row_major>(&tile_b, k * LINE_B + my_col + j * SN, LINE_B);
        for (var i = 0u; i < DOWN; i++) {
          acc[i * ALONG + j] = subgroupMatrixMultiplyAccumulate(left[i], right, acc[i * ALONG + j]);
        }
      }
    }
    if ((FLAGS & FLAG_COLUMN_SUMS) != 0u && lid < BN) {
      for (var k = 0u; k < BK; k++) { sum += f32(tile_b[k * LINE_B + lid]); }
    }
    workgroupBarrier();
  }
  let base_c = wid.z * p.sc;
  let mine = sg * SM * SN;
  for (var i = 0u; i < DOWN; i++) {
    for (var j = 0u; j < ALONG; j++) {
      subgroupMatrixStore<row_major>(&scratch, mine, acc[i * ALONG + j], SN);
      workgroupBarrier();
      for (var e = 4u * lane; e < SM * SN; e += 4u * LANES) {
        let v = vec4f(scratch[mine + e], scratch[mine + e + 1u], scratch[mine + e + 2u], scratch[mine + e + 3u]);
        let col = col0 + my_col + j * SN + e % SN;
        finish(row0 + my_row + i * SM + e / SN, col, base_c, bias_at(col), p.unscale * v);
      }
      workgroupBarrier();
    }
  }
  if ((FLAGS & FLAG_COLUMN_SUMS) != 0u && wid.y == 0u && lid < BN && col0 + lid < p.n) { db[col0 + lid] += sum / p.scale_b; }
}
// @use matmul_blocks, matmul_finish, narrow, tile_index, matmul_flags
