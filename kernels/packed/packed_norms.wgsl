// packed_norms: y[i] = scales[i] / √(scales[i]² · Σ_d q[i, d]² + 1e-12): scales that give the rows of a compressed table
// length one, as normalize_fwd.wgsl does.
// Layout: words and scales [V] of a table [V, D] (lib/packed4.wgsl), y [V]. A thread owns a row. No workgroup memory.
// Host: D % 4 = 0.
struct Params { v: u32, d: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const BITS: u32 = 8; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  if (i >= p.v) { return; }
  let width = p.d / 4u;
  var sum = 0.0;
  for (var c = 0u; c < width; c++) {
    let x = scales[i] * packed4(i * width + c);
    sum += dot(x, x);
  }
  y[i] = scales[i] * inverse_sqrt(sum + 1e-12);
}
// @use group_index, packed4, inverse_sqrt
