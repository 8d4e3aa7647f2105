// gather: y[o, i, :] = x[o, ids[i], :]; zeros where ids[i] ≥ rows.
// Layout: x [outer, rows, cols], y [outer, n, cols], 32-bit words of any type, copied bit for bit; ids [n] u32.
// A thread owns one Element of y, a workgroup 256. No workgroup memory. Host: cols % SIZE = 0, OUTER = outer > 1.
struct Params { outer: u32, n: u32, rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Element>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Element>;

alias Element = vec4u; // @tune
const SIZE: u32 = 4; // @tune elements of Element
const OUTER: bool = true; // @tune

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let width = p.cols / SIZE;
  let i = group_index(wid, grid) * 256u + lid;
  if (i >= p.outer * p.n * width) { return; }
  let at = i / width;
  var row = at;
  var first = 0u;
  if (OUTER) {
    first = at / p.n;
    row -= first * p.n;
    first *= p.rows;
  }
  let id = ids[row];
  var v = Element(0u);
  if (id < p.rows) { v = x[(first + id) * width + i - at * width]; }
  y[i] = v;
}
// @use group_index
