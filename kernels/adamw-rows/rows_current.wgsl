// rows_current: y = the values of all rows as of the step that status counts, or their average (average_on = 1): what
// rows_catch_up would store, which stays as it is.
// Layout: params, m, v, average, y [V, D], the rows [first, first + V) of a table; last [rows of the table], the steps up to
// which they are done; history [ROW_RING].
// LANES threads own a row, a thread COLUMNS Elements of it at a time; a workgroup 64 / LANES rows. No workgroup memory.
// moments = 0: as rows_catch_up.
// Host: D % SIZE = 0.
struct Params { d: u32, v: u32, first: u32, moves: u32, moments: u32, beta1: f32, root2: f32, log1: f32, log2: f32,
  eps: f32, decay: f32, average_on: u32, log_average: f32, steady: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> status: array<u32>;
@group(0) @binding(2) var<storage, read> history: array<vec4f>;
@group(0) @binding(3) var<storage, read> last: array<u32>;
@group(0) @binding(4) var<storage, read> params: array<Element>;
@group(0) @binding(5) var<storage, read> m: array<Element>;
@group(0) @binding(6) var<storage, read> v: array<Element>;
@group(0) @binding(7) var<storage, read> average: array<Element>;
@group(0) @binding(8) var<storage, read_write> y: array<Element>;

alias Element = vec4f; // @tune
const SIZE: u32 = 4; // @tune elements of Element
const LANES: u32 = 4; // @tune
const COLUMNS: u32 = 4;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (row >= p.v) { return; }
  let s = last[p.first + row];
  let t = max(s, status[STATUS_STEP]);
  let width = p.d / SIZE;
  for (var first = lid % LANES; first < width; first += LANES * COLUMNS) {
    var now: Idle;
    for (var u = 0u; u < COLUMNS; u++) {
      let c = first + u * LANES;
      let e = row * width + c;
      if (c < width) {
        now.x[u] = params[e];
        if (p.moments == 1u) {
          now.m[u] = m[e];
          now.v[u] = v[e];
        }
        if (p.average_on == 1u) { now.average[u] = average[e]; }
      }
    }
    if (s < t) { idle(&now, s, t); }
    for (var u = 0u; u < COLUMNS; u++) {
      let c = first + u * LANES;
      if (c < width) { y[row * width + c] = select(now.x[u], now.average[u], p.average_on == 1u); }
    }
  }
}
// @use group_index, status, idle_row
