enable subgroups;
// softmax_fwd for subgroups of exactly 8 and cols ≤ 32·V: y[r, c] = exp(x[r, c] − m) / Σ exp(x[r, ·] − m).
// Layout: x, y [rows, cols], f32. A subgroup owns a row; a lane holds its vec4s lane, lane + 8, … in registers, so that
// every element is loaded once, raised once and stored once. No workgroup memory.
// Host: cols divisible by 4, 32·(V − 1) < cols ≤ 32·V: all vec4s but a lane's last need no test.
struct Params { rows: u32, cols: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

const V: u32 = 7; // @tune
const WG: u32 = 64; // @tune

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * (WG / 8u) + lid / 8u;
  let inside = row < p.rows; // surplus subgroups stay in uniform control flow and do not write
  let width = p.cols / 4u;
  let at = min(row, p.rows - 1u) * width + lid % 8u;
  let last = lid % 8u + 8u * (V - 1u) < width;
  var v: array<vec4f, V>;
  for (var k = 0u; k + 1u < V; k++) { v[k] = x[at + 8u * k]; }
  v[V - 1u] = vec4f(-3e38);
  if (last) { v[V - 1u] = x[at + 8u * (V - 1u)]; }
  var m4 = v[0];
  for (var k = 1u; k < V; k++) { m4 = max(m4, v[k]); }
  let top = max8(max(max(m4.x, m4.y), max(m4.z, m4.w)));
  var s4 = vec4f();
  var below = v[V - 1u] - top;
  for (var k = 0u; k + 1u < V; k++) {
    let d = v[k] - top;
    v[k] = exp(d);
    s4 += v[k];
    below += d;
  }
  // Not left to exp(−3e38 − top): a row of −3e38 would count what is not there.
  v[V - 1u] = select(vec4f(), exp(v[V - 1u] - top), last);
  s4 += v[V - 1u];
  let scale = 1.0 / sum8(or_nan(s4.x + s4.y + s4.z + s4.w, below.x + below.y + below.z + below.w));
  if (inside) {
    for (var k = 0u; k + 1u < V; k++) { y[at + 8u * k] = v[k] * scale; }
    if (last) { y[at + 8u * (V - 1u)] = v[V - 1u] * scale; }
  }
}
// @use group_index, lanes8, nan
