// transpose for software adapters, where barriers cost more than strides: y[b, j, i] = [that +] x[b, i, j].
// Layout: x [batch, rows, cols], y [batch, cols, rows], f32. A thread owns a 4 × 4 block: four vec4 in, four out.
// A workgroup owns 64 blocks. No workgroup memory. Host: rows and cols divisible by 4.
struct Params { batch: u32, rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let down = p.rows / 4u;
  let across = p.cols / 4u;
  let g = group_index(wid, grid) * 64u + lid;
  if (g >= p.batch * down * across) { return; }
  let base = g / (down * across) * p.rows * across;
  let row = g / across % down;
  let col = g % across;
  let source = base + 4u * row * across + col;
  let m = transpose(mat4x4f(x[source], x[source + across], x[source + 2u * across], x[source + 3u * across]));
  let to = base + 4u * col * down + row;
  if (p.acc == 1u) {
    for (var k = 0u; k < 4u; k++) { y[to + k * down] += m[k]; }
  } else {
    y[to] = m[0];
    y[to + down] = m[1];
    y[to + 2u * down] = m[2];
    y[to + 3u * down] = m[3];
  }
}
// @use group_index
