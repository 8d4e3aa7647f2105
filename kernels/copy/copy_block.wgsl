// copy_block: y[r · to_stride + to_offset + c] = [that +] x[r · from_stride + from_offset + c], r < rows, c < cols.
// Layout: x and y are 32-bit words of any type, copied bit for bit; where acc = 1 they are f32 and added.
// A thread owns one Element, a workgroup 256. No workgroup memory.
// Host: both blocks lie inside their buffers; cols, strides and offsets are divisible by SIZE.
struct Params { rows: u32, cols: u32, from_stride: u32, from_offset: u32, to_stride: u32, to_offset: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read_write> y: array<Element>;

alias Element = vec4u; // @tune
alias Number = vec4f; // @tune Element as f32
const SIZE: u32 = 4; // @tune elements of Element

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = SIZE * (group_index(wid, grid) * 256u + lid);
  if (i >= p.rows * p.cols) { return; }
  let r = i / p.cols;
  let c = i - r * p.cols;
  let to = (r * p.to_stride + p.to_offset + c) / SIZE;
  let v = x[(r * p.from_stride + p.from_offset + c) / SIZE];
  // Two stores: of one, compilers make an addition of 0 where nothing is added, which changes the bits of some NaN.
  if (p.acc == 1u) {
    y[to] = bitcast<Element>(bitcast<Number>(v) + bitcast<Number>(y[to]));
  } else {
    y[to] = v;
  }
}
// @use group_index
