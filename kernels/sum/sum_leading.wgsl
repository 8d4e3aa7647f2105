// sum_leading: y[s, c] = [y +] factor · Σ x[r, c] over the rows r of chunk s; adds to y where acc = 1.
// Layout: x [rows, cols], y [chunks, cols], f32. A thread owns one Element of columns of one chunk, a workgroup 64; rows
// are added from first to last. No workgroup memory.
// Host: chunks = ⌈rows / chunk⌉, or 1 where rows = 0; cols % SIZE = 0.
struct Params { rows: u32, cols: u32, chunk: u32, chunks: u32, factor: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;

alias Element = vec4f; // @tune
const SIZE: u32 = 4; // @tune elements of Element

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let width = p.cols / SIZE;
  let across = (width + 63u) / 64u;
  let g = group_index(wid, grid);
  let s = g / across;
  let c = (g % across) * 64u + lid;
  if (s >= p.chunks || c >= width) { return; }
  var sum = Element(0.0);
  for (var r = s * p.chunk; r < min(p.rows, (s + 1u) * p.chunk); r++) { sum += x[r * width + c]; }
  sum *= p.factor;
  if (p.acc == 1u) { sum += y[s * width + c]; }
  y[s * width + c] = sum;
}
// @use group_index
