// matmul_split_sum: c[r, ·] = [c +] Σₛ part[s, r, ·], the second pass of a product that is split along K; adds to c where
// acc = 1. The parts are added in their order, so that the same shape always gives the same bits.
// Layout: part [S, M, ld] (ld a multiple of 4), c [M, N] with row stride ldc, f32. A thread owns a vec4 of a row.
// Host: what lies between N and ld in `part` is never counted.
struct Params { s: u32, m: u32, n: u32, ld: u32, ldc: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> part: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  let across = p.ld / 4u;
  if (i >= p.m * across) { return; }
  var sum = vec4f();
  for (var s = 0u; s < p.s; s++) { sum += part[s * p.m * across + i]; }
  let row = i / across;
  let col = 4u * (i % across);
  for (var j = 0u; j < 4u; j++) {
    if (col + j < p.n) {
      let at = row * p.ldc + col + j;
      if (p.acc == 1u) { c[at] += sum[j]; } else { c[at] = sum[j]; }
    }
  }
}
// @use group_index
