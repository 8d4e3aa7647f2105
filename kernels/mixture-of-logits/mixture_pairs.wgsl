// mixture_pairs: component logits from the product's order to pairs as rows, and their gradients back:
//   to_pairs = 1: pairs[u, x, i, j] = z[u, i, x, j];   to_pairs = 0: z[u, i, x, j] = pairs[u, x, i, j]
// Layout: z [R, KU, N, KX], pairs [R, N, KU, KX]. A thread owns a vec4, a workgroup 256. No workgroup memory.
// Host: x4 = KX / 4, KX % 4 = 0; count = R · N · KU · x4.
struct Params { count: u32, n: u32, ku: u32, x4: u32, to_pairs: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> z: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> pairs: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let at = group_index(wid, grid) * 256u + lid;
  if (at >= p.count) { return; }
  let j = at % p.x4;
  let x = at / p.x4 % p.n;
  let row = at / p.x4 / p.n; // u · KU + i
  let other = ((row / p.ku * p.n + x) * p.ku + row % p.ku) * p.x4 + j;
  if (p.to_pairs == 1u) { pairs[other] = z[at]; } else { z[at] = pairs[other]; }
}
// @use group_index
