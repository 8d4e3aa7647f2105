// rows_catch_up: params, m, v and average of rows get what their idle steps would have given them (lib/idle_row.wgsl): from
// the step up to which a row is done to the one that status counts. y = the rows' values.
// Layout: params, m, v, average [V, D], the rows [first, first + V) of a table; history [ROW_RING]; touched: word 0 how many rows,
// then from word 64 on for each its number in the whole table, the step up to which it is done, and its index in y [S, D];
// rows of other shards are passed over. With all = 1 every row, touched [rows of the table] having their steps, without y.
// LANES threads own a row, a thread COLUMNS Elements of it at a time; a workgroup 64 / LANES rows. No workgroup memory.
// Without moments (moments = 0) m and v are left alone, and idle rows stay but for decay and average.
// Host: D % SIZE = 0. Once status[STATUS_FAILED] is set, y is all that is written.
struct Params { d: u32, v: u32, first: u32, all: u32, moves: u32, moments: u32, beta1: f32, root2: f32, log1: f32, log2: f32,
  eps: f32, decay: f32, average_on: u32, log_average: f32, steady: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> status: array<u32>;
@group(0) @binding(2) var<storage, read> history: array<vec4f>;
@group(0) @binding(3) var<storage, read> touched: array<u32>;
@group(0) @binding(4) var<storage, read_write> params: array<Element>;
@group(0) @binding(5) var<storage, read_write> m: array<Element>;
@group(0) @binding(6) var<storage, read_write> v: array<Element>;
@group(0) @binding(7) var<storage, read_write> average: array<Element>;
@group(0) @binding(8) var<storage, read_write> y: array<Element>;

alias Element = vec4f; // @tune
const SIZE: u32 = 4; // @tune elements of Element
const LANES: u32 = 4; // @tune
const COLUMNS: u32 = 4;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  var row = i;
  var s = 0u;
  var at = 0u;
  if (p.all == 1u) {
    if (row >= p.v) { return; }
    s = touched[p.first + row];
  } else {
    if (i >= touched[0]) { return; }
    row = touched[64u + 3u * i] - p.first; // wraps around below first
    if (row >= p.v) { return; }
    s = touched[65u + 3u * i];
    at = touched[66u + 3u * i];
  }
  let t = status[STATUS_STEP];
  let behind = s < t && status[STATUS_FAILED] == 0u;
  let width = p.d / SIZE;
  for (var first = lid % LANES; first < width; first += LANES * COLUMNS) {
    var now: Idle;
    for (var u = 0u; u < COLUMNS; u++) {
      let c = first + u * LANES;
      let e = row * width + c;
      if (c < width) {
        now.x[u] = params[e];
        if (behind) {
          if (p.moments == 1u) {
            now.m[u] = m[e];
            now.v[u] = v[e];
          }
          if (p.average_on == 1u) { now.average[u] = average[e]; }
        }
      }
    }
    if (behind) { idle(&now, s, t); }
    for (var u = 0u; u < COLUMNS; u++) {
      let c = first + u * LANES;
      let e = row * width + c;
      if (c < width) {
        if (behind) {
          params[e] = now.x[u];
          if (p.moments == 1u) {
            m[e] = now.m[u];
            v[e] = now.v[u];
          }
          if (p.average_on == 1u) { average[e] = now.average[u]; }
        }
        if (p.all == 0u) { y[at * width + c] = now.x[u]; }
      }
    }
  }
}
// @use group_index, status, idle_row
