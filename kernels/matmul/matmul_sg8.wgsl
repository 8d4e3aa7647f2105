enable subgroups;
// matmul_sg8: C = act(op(A) · op(B) + bias), the variant for adapters whose subgroups have exactly 8 lanes (software
// rasterisers on AVX2), where a load costs far more than arithmetic: every load feeds as many products as possible.
// Layouts: op(A) is [M, K] stored with row stride lda ([K, M] if TRANS_A), op(B) [K, N] with ldb ([N, K] if TRANS_B),
//   C and Z [M, N] with ldc; sa, sb, sc are the strides of a batch, all in elements. Z receives op(A)·op(B) + bias
//   before the activation (FLAG_Z); db receives (+=) the column sums of op(B) (FLAG_COLUMN_SUMS: a bias gradient for free).
// A workgroup is one subgroup and owns 16 rows × 32 columns of C; a lane owns 4 of the columns. Each lane loads four
//   k of two rows of A and shares them by broadcast. k steps by 4. No workgroup memory.
// FLAG_RESIDUAL and FLAG_DROPOUT: C = residual + dropout(act(…)), residual [M, N] laid out as C; the mask is that of dropout.wgsl over
//   C's elements in their order (op, threshold, scale; state: seed, step, …, 5 dropout on).
// Grid: (⌈N/32⌉, ⌈M/16⌉, batch), or their product where one of them passes 65,535 (FOLDED). Host: lda, ldb, ldc and the strides are multiples of 4; where K is not, the side whose
//   k axis is contiguous is padded with zeros and the other side's rows beyond K may be read, clamped to the last.
const TRANS_A: bool = false; // @tune
const TRANS_B: bool = false; // @tune
const ACT: u32 = 0; // @tune
const FLAGS: u32 = 0; // @tune
const FOLDED: bool = false; // @tune
const DROP_LATER = (FLAGS & FLAG_DROPOUT) != 0u;
struct Params { m: u32, n: u32, k: u32, lda: u32, ldb: u32, ldc: u32, sa: u32, sb: u32, sc: u32, batch: u32,
  op: u32, threshold: u32, scale: f32 }
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

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(subgroup_invocation_id) lane: u32) {
  let wid = tile_index(group, grid, (p.n + 32u - 1u) / 32u, (p.m + 16u - 1u) / 16u);
  if (FOLDED && wid.z >= p.batch) { return; }
  let row0 = wid.y * 16u;
  let col = wid.x * 32u + lane * 4u;
  var c0 = vec4f();
  var c1 = vec4f();
  var c2 = vec4f();
  var c3 = vec4f();
  var c4 = vec4f();
  var c5 = vec4f();
  var c6 = vec4f();
  var c7 = vec4f();
  var c8 = vec4f();
  var c9 = vec4f();
  var c10 = vec4f();
  var c11 = vec4f();
  var c12 = vec4f();
  var c13 = vec4f();
  var c14 = vec4f();
  var c15 = vec4f();
  var sum = vec4f();
  let base_a = wid.z * p.sa;
  let base_b = wid.z * p.sb;
  // Rows and columns beyond the edge read the last ones; what they give is not stored.
  var a_at0: u32;
  var a_at1: u32;
  if (TRANS_A) {
    // Lane 2q+h reads row k+q of A at columns row0 + 8h and row0 + 8h + 4.
    let first = row0 + (lane & 1u) * 8u;
    a_at0 = base_a + min(first, p.lda - 4u);
    a_at1 = base_a + min(first + 4u, p.lda - 4u);
  } else {
    a_at0 = base_a + min(row0 + lane, p.m - 1u) * p.lda;
    a_at1 = base_a + min(row0 + 8u + lane, p.m - 1u) * p.lda;
  }
  let safe_col = min(col, p.ldb - 4u);
  let last = p.n - 1u;
  var b_at = vec4u(base_b + safe_col);
  if (TRANS_B) { b_at = base_b + min(vec4u(col, col + 1u, col + 2u, col + 3u), vec4u(last)) * p.ldb; }
  for (var k = 0u; k < p.k; k += 4u) {
    var u: vec4f;
    var v: vec4f;
    if (TRANS_A) {
      let row = min(k + (lane >> 1u), p.k - 1u) * p.lda;
      u = a[(a_at0 + row) / 4u];
      v = a[(a_at1 + row) / 4u];
    } else {
      u = a[(a_at0 + k) / 4u];
      v = a[(a_at1 + k) / 4u];
    }
    var b0: vec4f;
    var b1: vec4f;
    var b2: vec4f;
    var b3: vec4f;
    if (TRANS_B) {
      let t0 = b[(b_at.x + k) / 4u];
      let t1 = b[(b_at.y + k) / 4u];
      let t2 = b[(b_at.z + k) / 4u];
      let t3 = b[(b_at.w + k) / 4u];
      b0 = vec4f(t0.x, t1.x, t2.x, t3.x);
      b1 = vec4f(t0.y, t1.y, t2.y, t3.y);
      b2 = vec4f(t0.z, t1.z, t2.z, t3.z);
      b3 = vec4f(t0.w, t1.w, t2.w, t3.w);
    } else {
      b0 = b[(b_at.x + k * p.ldb) / 4u];
      b1 = b[(b_at.x + min(k + 1u, p.k - 1u) * p.ldb) / 4u];
      b2 = b[(b_at.x + min(k + 2u, p.k - 1u) * p.ldb) / 4u];
      b3 = b[(b_at.x + min(k + 3u, p.k - 1u) * p.ldb) / 4u];
    }
    if (TRANS_A) {
      if (k + 4u > p.k) { // the clamped rows must not count twice
        if (k + 1u >= p.k) { b1 = vec4f(); }
        if (k + 2u >= p.k) { b2 = vec4f(); }
        b3 = vec4f();
      }
      sum += b0 + b1 + b2 + b3;
      {
        let x0 = subgroupBroadcast(u, 0u);
        let x1 = subgroupBroadcast(u, 2u);
        let x2 = subgroupBroadcast(u, 4u);
        let x3 = subgroupBroadcast(u, 6u);
        c0 += x0.x * b0 + x1.x * b1 + x2.x * b2 + x3.x * b3;
        c1 += x0.y * b0 + x1.y * b1 + x2.y * b2 + x3.y * b3;
        c2 += x0.z * b0 + x1.z * b1 + x2.z * b2 + x3.z * b3;
        c3 += x0.w * b0 + x1.w * b1 + x2.w * b2 + x3.w * b3;
      }
      {
        let x0 = subgroupBroadcast(v, 0u);
        let x1 = subgroupBroadcast(v, 2u);
        let x2 = subgroupBroadcast(v, 4u);
        let x3 = subgroupBroadcast(v, 6u);
        c4 += x0.x * b0 + x1.x * b1 + x2.x * b2 + x3.x * b3;
        c5 += x0.y * b0 + x1.y * b1 + x2.y * b2 + x3.y * b3;
        c6 += x0.z * b0 + x1.z * b1 + x2.z * b2 + x3.z * b3;
        c7 += x0.w * b0 + x1.w * b1 + x2.w * b2 + x3.w * b3;
      }
      {
        let x0 = subgroupBroadcast(u, 1u);
        let x1 = subgroupBroadcast(u, 3u);
        let x2 = subgroupBroadcast(u, 5u);
        let x3 = subgroupBroadcast(u, 7u);
        c8 += x0.x * b0 + x1.x * b1 + x2.x * b2 + x3.x * b3;
        c9 += x0.y * b0 + x1.y * b1 + x2.y * b2 + x3.y * b3;
        c10 += x0.z * b0 + x1.z * b1 + x2.z * b2 + x3.z * b3;
        c11 += x0.w * b0 + x1.w * b1 + x2.w * b2 + x3.w * b3;
      }
      {
        let x0 = subgroupBroadcast(v, 1u);
        let x1 = subgroupBroadcast(v, 3u);
        let x2 = subgroupBroadcast(v, 5u);
        let x3 = subgroupBroadcast(v, 7u);
        c12 += x0.x * b0 + x1.x * b1 + x2.x * b2 + x3.x * b3;
        c13 += x0.y * b0 + x1.y * b1 + x2.y * b2 + x3.y * b3;
        c14 += x0.z * b0 + x1.z * b1 + x2.z * b2 + x3.z * b3;
        c15 += x0.w * b0 + x1.w * b1 + x2.w * b2 + x3.w * b3;
      }
    } else {
      var x: vec4f;
      x = subgroupBroadcast(u, 0u);
      c0 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(u, 1u);
      c1 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(u, 2u);
      c2 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(u, 3u);
      c3 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(u, 4u);
      c4 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(u, 5u);
      c5 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(u, 6u);
      c6 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(u, 7u);
      c7 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 0u);
      c8 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 1u);
      c9 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 2u);
      c10 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 3u);
      c11 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 4u);
      c12 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 5u);
      c13 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 6u);
      c14 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
      x = subgroupBroadcast(v, 7u);
      c15 += x.x * b0 + x.y * b1 + x.z * b2 + x.w * b3;
    }
  }
  let base_c = wid.z * p.sc;
  let bias_value = bias_at(col);
  // A store costs much code: one in a loop that is not unrolled, over values in memory.
  let out = array<vec4f, 16>(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15);
  let turns = 16u + (p.batch >> 31u);
  for (var i = 0u; i < turns; i++) { finish(row0 + i, col, base_c, bias_value, out[i]); }
  if (DROP_LATER) { drop_rows(row0, 16u, col, base_c); }
  if ((FLAGS & FLAG_COLUMN_SUMS) != 0u && wid.y == 0u) {
    for (var i = col; i < min(col + 4u, p.n); i++) { db[i] += sum[i - col]; }
  }
}
// @use matmul_finish, tile_index, matmul_flags
