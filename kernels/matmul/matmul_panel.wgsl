enable subgroups;
// matmul_panel: C = act(op(A) · op(B) + bias) for adapters that compute on the CPU: a panel of B stays in registers or in
// the nearest cache while many rows of A walk past it, so that almost nothing is loaded for a product.
// Layouts: A [M, K] with row stride lda, op(B) [K, N] with ldb ([N, K] if TRANS_B), C and Z [M, N] with ldc; sa, sb, sc are the
//   strides of a batch, all in elements. Z receives A·op(B) + bias before the activation (FLAG_Z). FLAG_SLOPE: C =
//   (A·op(B)) ∘ act'(z). FLAG_RESIDUAL and FLAG_DROPOUT: C = residual + dropout(act(…)), residual [M, N] laid out as C; the mask
//   is that of dropout.wgsl over C's elements in their order (op, threshold, scale; state: seed, step, …, 5 dropout on).
// A workgroup is one subgroup of LANES lanes and owns p.rows rows × 8 · LANES columns of C; a lane owns 4 of the columns and
//   the 4 that are 4 · LANES further on. Its panel is [64, 8 · LANES]: four arrays of 16 steps of k, since a compiler's effort
//   grows with the square of an array. Where K is above 64, sums wait in C from panel to panel. A lane loads 4 numbers of a
//   row of A and shares them by broadcast.
// Why it reads as it does, on lavapipe (LLVM): an array that is written with a running index stays in memory, and a read
//   at a constant index is one vector load, which folds into the multiply. Loops of a constant number of turns are
//   unrolled, so that `turns` hides it. Chains of additions would sink below the next load while their products
//   spill: storing them ("pin") keeps them where they are.
// Grid: (⌈N / (8 · LANES)⌉, ⌈M / rows⌉, batch), or their product where one of them passes 65,535 (FOLDED). Host: lda, ldb, ldc and the
//   strides are multiples of 4; where K is not, the sides whose k axis is contiguous are padded with zeros. p.flags
//   has all flags; FLAGS is without FLAG_BIAS, and without FLAG_ADD where nothing else is done, as where K is above 64.
const LANES: u32 = 8; // @tune
const TRANS_B: bool = false; // @tune
const ACT: u32 = 0; // @tune
const FLAGS: u32 = 0; // @tune
const FOLDED: bool = false; // @tune
const DROP_LATER = (FLAGS & FLAG_DROPOUT) != 0u;
const PLAIN = ACT == 0u && FLAGS == 0u; // sums start from the bias and, with FLAG_ADD, from what C holds
const COLUMNS = 2u * LANES; // of vec4
const DEPTH = 64u;
struct Params { m: u32, n: u32, k: u32, lda: u32, ldb: u32, ldc: u32, sa: u32, sb: u32, sc: u32, batch: u32,
  op: u32, threshold: u32, scale: f32, rows: u32, flags: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> z: array<vec4f>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(0) @binding(7) var<storage, read> residual: array<vec4f>;
fn state_word(i: u32) -> u32 { return state[i]; }

// 16 steps of k of a panel: the two vec4 of columns that a lane owns, step by step; the last two are for pins.
alias Panel = array<vec4f, 34>;

// The sums of a row: those of the columns that a lane owns.
struct Sums { near: vec4f, far: vec4f }

// Adds four steps of k, whose numbers of A are x, from step i / 2 of the panel on. Both vec4 of columns together: eight
// chains of additions, and each number of A is used up before the next one needs a register.
fn add_four(sums: Sums, x: vec4f, panel: ptr<function, Panel>, i: u32) -> Sums {
  var s = sums;
  s.near += x.x * (*panel)[i];
  s.far += x.x * (*panel)[i + 1u];
  s.near += x.y * (*panel)[i + 2u];
  s.far += x.y * (*panel)[i + 3u];
  s.near += x.z * (*panel)[i + 4u];
  s.far += x.z * (*panel)[i + 5u];
  s.near += x.w * (*panel)[i + 6u];
  s.far += x.w * (*panel)[i + 7u];
  return s;
}

// The four columns from vec4 `col` on at step k, or zeros beyond K.
fn columns_at(base: u32, k: u32, col: u32) -> vec4f {
  let at = (base + min(k, p.k - 1u) * p.ldb) / 4u + min(col, p.ldb / 4u - 1u);
  return select(vec4f(), b[at], k < p.k);
}
// Four steps of the row of op(B) that is column `n`, or zeros beyond K.
fn steps_at(base: u32, k: u32, n: u32) -> vec4f {
  let at = (base + min(n, p.n - 1u) * p.ldb + min(k, (p.k - 1u) / 4u * 4u)) / 4u;
  return select(vec4f(), b[at], k < p.k);
}
fn fill_four(panel: ptr<function, Panel>, base: u32, k: u32, i: u32, col: u32, j: u32) {
  let t0 = steps_at(base, k, col * 4u);
  let t1 = steps_at(base, k, col * 4u + 1u);
  let t2 = steps_at(base, k, col * 4u + 2u);
  let t3 = steps_at(base, k, col * 4u + 3u);
  (*panel)[i * 2u + j] = vec4f(t0.x, t1.x, t2.x, t3.x);
  (*panel)[i * 2u + 2u + j] = vec4f(t0.y, t1.y, t2.y, t3.y);
  (*panel)[i * 2u + 4u + j] = vec4f(t0.z, t1.z, t2.z, t3.z);
  (*panel)[i * 2u + 6u + j] = vec4f(t0.w, t1.w, t2.w, t3.w);
}

// Four numbers of a row of A for this lane, or zeros beyond K.
fn row_at(at: u32, step: u32) -> vec4f {
  return select(vec4f(), a[at + min(step, (p.k - 1u) / 4u)], step * 4u < p.k);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) grid: vec3u,
  @builtin(subgroup_invocation_id) lane: u32) {
  let wid = tile_index(group, grid, (p.n + 4u * COLUMNS - 1u) / (4u * COLUMNS), (p.m + p.rows - 1u) / p.rows);
  if (FOLDED && wid.z >= p.batch) { return; }
  let col0 = wid.x * COLUMNS + lane;
  let col1 = col0 + LANES;
  let base_b = wid.z * p.sb;
  let base_c = wid.z * p.sc;
  let row0 = wid.y * p.rows;
  let end = min(row0 + p.rows, p.m);
  let turns = 16u + (p.batch >> 31u);
  var bias0: vec4f;
  var bias1: vec4f;
  for (var j = 0u; j < turns / 8u; j++) {
    bias0 = bias1;
    bias1 = vec4f();
    if ((p.flags & FLAG_BIAS) != 0u) { bias1 = bias[min(col0 + j * LANES, (p.n - 1u) / 4u)]; }
  }
  var b0: Panel;
  var b1: Panel;
  var b2: Panel;
  var b3: Panel;
  for (var k0 = 0u; k0 < p.k; k0 += DEPTH) {
    for (var k = k0; k < k0 + DEPTH; k += turns) {
      b0 = b1;
      b1 = b2;
      b2 = b3;
      for (var j = 0u; j < turns / 8u; j++) {
        let col = col0 + j * LANES;
        if (TRANS_B) {
          for (var i = 0u; i < turns; i += 4u) { fill_four(&b3, base_b, k + i, i, col, j); }
        } else {
          for (var i = 0u; i < turns; i++) { b3[i * 2u + j] = columns_at(base_b, k + i, col); }
        }
      }
    }
    let last = k0 + DEPTH >= p.k;
    let onto_c = k0 > 0u || (PLAIN && (p.flags & FLAG_ADD) != 0u);
    for (var row = row0; row < end; row++) {
      var s = Sums(bias0, bias1);
      if (onto_c) {
        let at = (base_c + row * p.ldc) / 4u;
        s.near += c[at + min(col0, p.ldc / 4u - 1u)];
        s.far += c[at + min(col1, p.ldc / 4u - 1u)];
      }
      let row_a = (wid.z * p.sa + row * p.lda) / 4u;
      let step = k0 / 4u + lane;
      let u0 = row_at(row_a, step);
      var u1 = u0;
      var u2 = u0;
      if (LANES == 4u) { u1 = row_at(row_a, step + 4u); }
      if (LANES <= 8u) { u2 = row_at(row_a, step + 8u); }
      var u3 = u2;
      if (LANES == 4u) { u3 = row_at(row_a, step + 12u); }
      s = add_four(s, subgroupBroadcast(u0, 0u), &b0, 0u);
      s = add_four(s, subgroupBroadcast(u0, 1u), &b0, 8u);
      s = add_four(s, subgroupBroadcast(u0, 2u), &b0, 16u);
      s = add_four(s, subgroupBroadcast(u0, 3u), &b0, 24u);
      b0[32] = s.near;
      b0[33] = s.far;
      s = add_four(s, subgroupBroadcast(u1, 4u % LANES), &b1, 0u);
      s = add_four(s, subgroupBroadcast(u1, 5u % LANES), &b1, 8u);
      s = add_four(s, subgroupBroadcast(u1, 6u % LANES), &b1, 16u);
      s = add_four(s, subgroupBroadcast(u1, 7u % LANES), &b1, 24u);
      b1[32] = s.near;
      b1[33] = s.far;
      s = add_four(s, subgroupBroadcast(u2, 8u % LANES), &b2, 0u);
      s = add_four(s, subgroupBroadcast(u2, 9u % LANES), &b2, 8u);
      s = add_four(s, subgroupBroadcast(u2, 10u % LANES), &b2, 16u);
      s = add_four(s, subgroupBroadcast(u2, 11u % LANES), &b2, 24u);
      b2[32] = s.near;
      b2[33] = s.far;
      s = add_four(s, subgroupBroadcast(u3, 12u % LANES), &b3, 0u);
      s = add_four(s, subgroupBroadcast(u3, 13u % LANES), &b3, 8u);
      s = add_four(s, subgroupBroadcast(u3, 14u % LANES), &b3, 16u);
      s = add_four(s, subgroupBroadcast(u3, 15u % LANES), &b3, 24u);
      b3[32] = s.near;
      b3[33] = s.far;
      if (last && !PLAIN) {
        finish(row, col0 * 4u, base_c, vec4f(), s.near);
        finish(row, col1 * 4u, base_c, vec4f(), s.far);
      } else {
        let at = (base_c + row * p.ldc) / 4u;
        if (col0 * 4u < p.n) { c[at + col0] = s.near; }
        if (col1 * 4u < p.n) { c[at + col1] = s.far; }
      }
    }
    bias0 = vec4f();
    bias1 = vec4f();
  }
  if (DROP_LATER) {
    drop_rows(row0, end - row0, col0 * 4u, base_c);
    drop_rows(row0, end - row0, col1 * 4u, base_c);
  }
}
// @use matmul_finish, tile_index, matmul_flags
