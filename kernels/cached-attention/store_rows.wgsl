// store_rows: y[ids[r], :] = x[r, from : from + cols] for the rows r with ids[r] < capacity; other rows of y stay.
// Layout: x [rows, x_row] and y [capacity, cols] in vec4, from and cols counted in vec4; ids [rows] u32.
// A thread owns one vec4 of x, a workgroup 256. No workgroup memory. Host: ids below capacity are distinct.
struct Params { rows: u32, cols: u32, x_row: u32, from_col: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.rows * p.cols) { return; }
  let r = i / p.cols;
  let id = ids[r];
  if (id < p.capacity) { y[id * p.cols + i - r * p.cols] = x[r * p.x_row + p.from_col + i - r * p.cols]; }
}
// @use group_index
