enable f16;
// matmul_gpu_f16: C = act(op(A) · op(B) + bias), as matmul_gpu with tiles in f16: half the workgroup memory, and half of what
// is read from it, for each product. Products and sums are in f32. For precision=mixed alone.
// Its speed on a GPU is unmeasured: it was written and tested on software adapters.
// Layouts: op(A) is [M, K] stored with row stride lda ([K, M] if TRANS_A), op(B) [K, N] with ldb ([N, K] if TRANS_B),
//   C and Z [M, N] with ldc; sa, sb, sc are the strides of a batch, all in elements. Z receives op(A)·op(B) + bias
//   before the activation (FLAG_Z); db receives (+=) the column sums of op(B) (FLAG_COLUMN_SUMS: a bias gradient for free).
// A workgroup of BM/TM × BN/TN threads owns BM × BN of C, a thread TM × TN of it as 4 × 4 blocks that lie 4·BM/TM rows
//   and 4·BN/TN columns apart, so that neighbors read neighbors. K goes in slices of BK: a thread loads 4 × 4 blocks of
//   A and B as four vec4, turns them where k is the contiguous axis, and stores them as [k][row / 4] and [k][column / 4];
//   a row of the tiles is one vec4 longer than it needs to be, against bank conflicts.
// An operand is scaled by a power of two first (scale_a, scale_b: gradients would lie below what f16 holds) and clamped to
//   ±65,504; the sums are multiplied by `unscale` = 1 / (scale_a · scale_b).
// Workgroup memory: 8 · BK · (BM/4 + BN/4 + 2) bytes (4.3 KiB at 64 × 64 × 16).
// FLAG_RESIDUAL and FLAG_DROPOUT: C = residual + dropout(act(…)), residual [M, N] laid out as C; the mask is that of dropout.wgsl over
//   C's elements in their order (op, threshold, scale; state: seed, step, …, 5 dropout on).
// Grid: (⌈N/BN⌉, ⌈M/BM⌉, batch), or their product where one of them passes 65,535 (FOLDED). K of the last matrix of a batch is `last` (the parts of a product split along K).
// Host: all strides are multiples of 4 (K, M and N need not be); what lies between N and ldc may be
//   overwritten.
const TRANS_A: bool = false; // @tune
const TRANS_B: bool = false; // @tune
const ACT: u32 = 0; // @tune
const FLAGS: u32 = 0; // @tune
const FOLDED: bool = false; // @tune
const BM: u32 = 64; // @tune
const BN: u32 = 64; // @tune
const BK: u32 = 16; // @tune
const TM: u32 = 8; // @tune
const TN: u32 = 8; // @tune
const ACROSS = BN / TN; // threads along N
const THREADS = ACROSS * (BM / TM);
const LINE_A = BM / 4u + 1u;
const LINE_B = BN / 4u + 1u;
const QM = TM / 4u;
const QN = TN / 4u;
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
var<workgroup> tile_a: array<vec4<f16>, BK * LINE_A>;
var<workgroup> tile_b: array<vec4<f16>, BK * LINE_B>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lid: u32) {
  let wid = tile_index(group, grid, (p.n + BN - 1u) / BN, (p.m + BM - 1u) / BM);
  if (FOLDED && wid.z >= p.batch) { return; }
  let row0 = wid.y * BM;
  let col0 = wid.x * BN;
  let base_a = wid.z * p.sa;
  let base_b = wid.z * p.sb;
  let depth = select(p.k, p.last, wid.z + 1u == p.batch);
  let tx = lid % ACROSS;
  let ty = lid / ACROSS;
  var acc: array<array<vec4f, QN>, TM>;
  var sum: array<vec4f, QN>;
  for (var k0 = 0u; k0 < depth; k0 += BK) {
    // Threads walk the axis that is contiguous in memory.
    for (var i = lid; i < BM / 4u * (BK / 4u); i += THREADS) {
      let quad = select(i / (BK / 4u), i % (BM / 4u), TRANS_A);
      let k = 4u * select(i % (BK / 4u), i / (BM / 4u), TRANS_A);
      let v = block_a(base_a, row0 + 4u * quad, k0 + k, depth);
      let at = k * LINE_A + quad;
      tile_a[at] = narrow4(v[0] * p.scale_a);
      tile_a[at + LINE_A] = narrow4(v[1] * p.scale_a);
      tile_a[at + 2u * LINE_A] = narrow4(v[2] * p.scale_a);
      tile_a[at + 3u * LINE_A] = narrow4(v[3] * p.scale_a);
    }
    for (var i = lid; i < BN / 4u * (BK / 4u); i += THREADS) {
      let quad = select(i % (BN / 4u), i / (BK / 4u), TRANS_B);
      let k = 4u * select(i / (BN / 4u), i % (BK / 4u), TRANS_B);
      let v = block_b(base_b, col0 + 4u * quad, k0 + k, depth);
      let at = k * LINE_B + quad;
      tile_b[at] = narrow4(v[0] * p.scale_b);
      tile_b[at + LINE_B] = narrow4(v[1] * p.scale_b);
      tile_b[at + 2u * LINE_B] = narrow4(v[2] * p.scale_b);
      tile_b[at + 3u * LINE_B] = narrow4(v[3] * p.scale_b);
    }
    workgroupBarrier();
    for (var k = 0u; k < BK; k++) {
      var y: array<vec4f, QN>;
      for (var j = 0u; j < QN; j++) {
        y[j] = vec4f(tile_b[k * LINE_B + tx + j * ACROSS]);
        if ((FLAGS & FLAG_COLUMN_SUMS) != 0u) { sum[j] += y[j]; }
      }
      for (var q = 0u; q < QM; q++) {
        let x = vec4f(tile_a[k * LINE_A + ty + q * (BM / TM)]);
        for (var j = 0u; j < QN; j++) {
          acc[4u * q][j] += x.x * y[j];
          acc[4u * q + 1u][j] += x.y * y[j];
          acc[4u * q + 2u][j] += x.z * y[j];
          acc[4u * q + 3u][j] += x.w * y[j];
        }
      }
    }
    workgroupBarrier();
  }
  let base_c = wid.z * p.sc;
  for (var j = 0u; j < QN; j++) {
    let col = col0 + 4u * (tx + j * ACROSS);
    if (col < p.n) {
      let bias_value = bias_at(col);
      for (var q = 0u; q < QM; q++) {
        let row = row0 + 4u * (ty + q * (BM / TM));
        finish(row, col, base_c, bias_value, p.unscale * acc[4u * q][j]);
        finish(row + 1u, col, base_c, bias_value, p.unscale * acc[4u * q + 1u][j]);
        finish(row + 2u, col, base_c, bias_value, p.unscale * acc[4u * q + 2u][j]);
        finish(row + 3u, col, base_c, bias_value, p.unscale * acc[4u * q + 3u][j]);
      }
      if ((FLAGS & FLAG_COLUMN_SUMS) != 0u && wid.y == 0u && ty == 0u) {
        for (var i = 0u; i < 4u; i++) {
          if (col + i < p.n) { db[col + i] += sum[j][i] / p.scale_b; }
        }
      }
    }
  }
}
// @use matmul_blocks, matmul_finish, narrow, tile_index, matmul_flags
