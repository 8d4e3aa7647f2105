// Blocks of 4 × 4 of op(A) and op(B) for tiles in workgroup memory, each as [k] → a vec4 of four rows, or columns; with the
// bindings and constants of the kernel that uses it. Beyond the edges are zeros.
// The vec4 at k … k + 3 with zeros from `depth` on.
fn cut(v: vec4f, k: u32, depth: u32) -> vec4f {
  return select(vec4f(), v, vec4u(k, k + 1u, k + 2u, k + 3u) < vec4u(depth));
}

// Four rows at k … k + 3 become, for each k, a vec4 of the four rows.
fn turned(v0: vec4f, v1: vec4f, v2: vec4f, v3: vec4f) -> array<vec4f, 4> {
  return array<vec4f, 4>(
    vec4f(v0.x, v1.x, v2.x, v3.x), vec4f(v0.y, v1.y, v2.y, v3.y),
    vec4f(v0.z, v1.z, v2.z, v3.z), vec4f(v0.w, v1.w, v2.w, v3.w));
}

fn block_a(base: u32, row: u32, k: u32, depth: u32) -> array<vec4f, 4> {
  var v: array<vec4f, 4>;
  if (TRANS_A) {
    if (row < p.m) {
      for (var j = 0u; j < 4u; j++) {
        if (k + j < depth) { v[j] = a[(base + (k + j) * p.lda + row) / 4u]; }
      }
    }
    return v;
  }
  if (k < depth) {
    for (var j = 0u; j < 4u; j++) {
      if (row + j < p.m) { v[j] = cut(a[(base + (row + j) * p.lda + k) / 4u], k, depth); }
    }
  }
  return turned(v[0], v[1], v[2], v[3]);
}

fn block_b(base: u32, col: u32, k: u32, depth: u32) -> array<vec4f, 4> {
  var v: array<vec4f, 4>;
  if (!TRANS_B) {
    if (col < p.n) {
      for (var j = 0u; j < 4u; j++) {
        if (k + j < depth) { v[j] = b[(base + (k + j) * p.ldb + col) / 4u]; }
      }
    }
    return v;
  }
  if (k < depth) {
    for (var j = 0u; j < 4u; j++) {
      if (col + j < p.n) { v[j] = cut(b[(base + (col + j) * p.ldb + k) / 4u], k, depth); }
    }
  }
  return turned(v[0], v[1], v[2], v[3]);
}
