enable subgroups;
// matmul_sg8_wide: C = act(op(A) · op(B) + bias), as matmul_sg8 (8-lane subgroups of software rasterisers) in tiles four
// times as large: half as many elements are loaded for each product, at the price of a longer compilation.
// Layouts: op(A) is [M, K] stored with row stride lda ([K, M] if TRANS_A), op(B) [K, N] with ldb ([N, K] if TRANS_B),
//   C and Z [M, N] with ldc; sa, sb, sc are the strides of a batch, all in elements. Z receives op(A)·op(B) + bias
//   before the activation (FLAG_Z); db receives (+=) the column sums of op(B) (FLAG_COLUMN_SUMS: a bias gradient for free, with
//   TRANS_A alone). FLAG_SLOPE: C = (op(A)·op(B)) ∘ act'(z), the first step of the backward of an activation.
// A workgroup is one subgroup and owns 32 rows × 64 columns of C; a lane owns 4 of the columns and the 4 that are 32
//   further on. k steps by 2, so that the loop's body stays within the instruction cache: each lane loads a vec2 of A
//   from each of four groups of 8 rows and shares it by broadcast. The epilogue is a loop over the groups, which move
//   up, and over a group's vec4s, since a store costs much code; `turns` keeps it from being unrolled. No workgroup memory.
// FLAG_RESIDUAL and FLAG_DROPOUT: C = residual + dropout(act(…)), residual [M, N] laid out as C; the mask is that of dropout.wgsl over
//   C's elements in their order (op, threshold, scale; state: seed, step, …, 5 dropout on).
// Grid: (⌈N/64⌉, ⌈M/32⌉, batch), or their product where one of them passes 65,535 (FOLDED). Host: lda, ldb, ldc and the strides are multiples of 4; where K is not, the side whose
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
@group(0) @binding(1) var<storage, read> a: array<vec2f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> z: array<vec4f>;
// db, or the state of the dropout, which no product needs at once: an adapter may bind no more than 8.
@group(0) @binding(6) var<storage, read_write> db_or_state: array<u32>;
@group(0) @binding(7) var<storage, read> b_pairs: array<vec2f>; // B again, for TRANS_B
@group(0) @binding(8) var<storage, read> residual: array<vec4f>;
fn state_word(i: u32) -> u32 { return db_or_state[i]; }
fn add_to_db(i: u32, v: f32) { db_or_state[i] = bitcast<u32>(bitcast<f32>(db_or_state[i]) + v); }

// The same for TRANS_A: lane j holds rows 2j and 2j + 1 of the first step, lane j + 4 those of the second.
fn add_columns(c: ptr<function, Eight>, u: vec2f, b: array<vec4f, 4>) {
  var x: vec2f;
  var y: vec2f;
  x = subgroupBroadcast(u, 0u);
  y = subgroupBroadcast(u, 4u);
  (*c)[0] += x.x * b[0] + y.x * b[1];
  (*c)[8] += x.x * b[2] + y.x * b[3];
  (*c)[1] += x.y * b[0] + y.y * b[1];
  (*c)[9] += x.y * b[2] + y.y * b[3];
  x = subgroupBroadcast(u, 1u);
  y = subgroupBroadcast(u, 5u);
  (*c)[2] += x.x * b[0] + y.x * b[1];
  (*c)[10] += x.x * b[2] + y.x * b[3];
  (*c)[3] += x.y * b[0] + y.y * b[1];
  (*c)[11] += x.y * b[2] + y.y * b[3];
  x = subgroupBroadcast(u, 2u);
  y = subgroupBroadcast(u, 6u);
  (*c)[4] += x.x * b[0] + y.x * b[1];
  (*c)[12] += x.x * b[2] + y.x * b[3];
  (*c)[5] += x.y * b[0] + y.y * b[1];
  (*c)[13] += x.y * b[2] + y.y * b[3];
  x = subgroupBroadcast(u, 3u);
  y = subgroupBroadcast(u, 7u);
  (*c)[6] += x.x * b[0] + y.x * b[1];
  (*c)[14] += x.x * b[2] + y.x * b[3];
  (*c)[7] += x.y * b[0] + y.y * b[1];
  (*c)[15] += x.y * b[2] + y.y * b[3];
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(subgroup_invocation_id) lane: u32) {
  let wid = tile_index(group, grid, (p.n + 64u - 1u) / 64u, (p.m + 32u - 1u) / 32u);
  if (FOLDED && wid.z >= p.batch) { return; }
  let row0 = wid.y * 32u;
  let col = wid.x * 64u + lane * 4u;
  var c0: Eight;
  var c1: Eight;
  var c2: Eight;
  var c3: Eight;
  var sum0 = vec4f();
  var sum1 = vec4f();
  // Rows and columns beyond the edge read the last ones; what they give is not stored.
  var a_at: vec4u;
  if (TRANS_A) {
    a_at = min(vec4u(row0 + (lane & 3u) * 2u) + vec4u(0u, 8u, 16u, 24u), vec4u(p.lda - 2u));
  } else {
    a_at = min(vec4u(row0 + lane) + vec4u(0u, 8u, 16u, 24u), vec4u(p.m - 1u)) * p.lda;
  }
  a_at += wid.z * p.sa;
  let base_b = wid.z * p.sb;
  var b_at0 = vec4u(base_b + min(col, p.ldb - 4u));
  var b_at1 = vec4u(base_b + min(col + 32u, p.ldb - 4u));
  if (TRANS_B) {
    b_at0 = base_b + min(vec4u(col, col + 1u, col + 2u, col + 3u), vec4u(p.n - 1u)) * p.ldb;
    b_at1 = base_b + min(vec4u(col + 32u, col + 33u, col + 34u, col + 35u), vec4u(p.n - 1u)) * p.ldb;
  }
  for (var k = 0u; k < p.k; k += 2u) {
    var v: array<vec4f, 4>; // columns at k, k + 1; second columns at k, k + 1
    if (TRANS_B) {
      var t0 = b_pairs[(b_at0.x + k) / 2u];
      var t1 = b_pairs[(b_at0.y + k) / 2u];
      var t2 = b_pairs[(b_at0.z + k) / 2u];
      var t3 = b_pairs[(b_at0.w + k) / 2u];
      v[0] = vec4f(t0.x, t1.x, t2.x, t3.x);
      v[1] = vec4f(t0.y, t1.y, t2.y, t3.y);
      t0 = b_pairs[(b_at1.x + k) / 2u];
      t1 = b_pairs[(b_at1.y + k) / 2u];
      t2 = b_pairs[(b_at1.z + k) / 2u];
      t3 = b_pairs[(b_at1.w + k) / 2u];
      v[2] = vec4f(t0.x, t1.x, t2.x, t3.x);
      v[3] = vec4f(t0.y, t1.y, t2.y, t3.y);
    } else {
      let first = k * p.ldb;
      let second = min(k + 1u, p.k - 1u) * p.ldb;
      v[0] = b[(b_at0.x + first) / 4u];
      v[1] = b[(b_at0.x + second) / 4u];
      v[2] = b[(b_at1.x + first) / 4u];
      v[3] = b[(b_at1.x + second) / 4u];
    }
    if (TRANS_A) {
      if (k + 1u >= p.k) { // the clamped row must not count twice
        v[1] = vec4f();
        v[3] = vec4f();
      }
      if ((FLAGS & FLAG_COLUMN_SUMS) != 0u) {
        sum0 += v[0] + v[1];
        sum1 += v[2] + v[3];
      }
      let row = min(k + (lane >> 2u), p.k - 1u) * p.lda;
      let u0 = a[(a_at.x + row) / 2u];
      let u1 = a[(a_at.y + row) / 2u];
      let u2 = a[(a_at.z + row) / 2u];
      let u3 = a[(a_at.w + row) / 2u];
      add_columns(&c0, u0, v);
      add_columns(&c1, u1, v);
      add_columns(&c2, u2, v);
      add_columns(&c3, u3, v);
    } else {
      let u0 = a[(a_at.x + k) / 2u];
      let u1 = a[(a_at.y + k) / 2u];
      let u2 = a[(a_at.z + k) / 2u];
      let u3 = a[(a_at.w + k) / 2u];
      add_rows(&c0, u0, v);
      add_rows(&c1, u1, v);
      add_rows(&c2, u2, v);
      add_rows(&c3, u3, v);
    }
  }
  let base_c = wid.z * p.sc;
  let bias0 = bias_at(col);
  let bias1 = bias_at(col + 32u);
  let turns = 16u + (p.batch >> 31u);
  for (var row = row0; row < min(row0 + 32u, p.m); row += 8u) {
    var out = c0; // lies in memory, since it is read with a running index
    for (var i = 0u; i < turns; i++) {
      let second = i >= 8u;
      finish(row + (i & 7u), select(col, col + 32u, second), base_c, select(bias0, bias1, second), out[i]);
    }
    c0 = c1;
    c1 = c2;
    c2 = c3;
  }
  if (DROP_LATER) {
    drop_rows(row0, 32u, col, base_c);
    drop_rows(row0, 32u, col + 32u, base_c);
  }
  if ((FLAGS & FLAG_COLUMN_SUMS) != 0u && wid.y == 0u) {
    for (var i = 0u; i < turns; i += 2u) {
      let at = select(col, col + 32u, i >= 8u) + i / 2u % 4u;
      if (at < p.n) { add_to_db(at, select(sum0, sum1, i >= 8u)[i / 2u % 4u]); }
    }
  }
}
// @use matmul_finish, sg8_rows, tile_index, matmul_flags
