enable subgroups;
// softmax_bwd for subgroups of exactly 8 and cols ≤ 32·V: dx[r, c] = [dx +] y[r, c] · (dy[r, c] − Σ dy[r, ·] · y[r, ·]).
// Layout: y, dy, dx [rows, cols], f32. A subgroup owns a row, a workgroup 8 rows; a lane holds the vec4s lane, lane + 8, …
// of y and dy in registers, so that every element is loaded once. No workgroup memory.
// Host: cols divisible by 4, 32·(V − 1) < cols ≤ 32·V.
struct Params { rows: u32, cols: u32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

const V: u32 = 7; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * 8u + lid / 8u;
  let inside = row < p.rows; // surplus subgroups stay in uniform control flow and do not write
  let width = p.cols / 4u;
  let at = min(row, p.rows - 1u) * width + lid % 8u;
  let last = lid % 8u + 8u * (V - 1u) < width;
  var v: array<vec4f, V>;
  var g: array<vec4f, V>;
  var s4 = vec4f();
  for (var k = 0u; k < V; k++) {
    if (k + 1u < V || last) {
      v[k] = y[at + 8u * k];
      g[k] = dy[at + 8u * k];
      s4 += v[k] * g[k];
    }
  }
  let total = sum8(s4.x + s4.y + s4.z + s4.w);
  if (inside) {
    for (var k = 0u; k < V; k++) {
      if (k + 1u < V || last) {
        var out = v[k] * (g[k] - total);
        if (p.acc == 1u) { out += dx[at + 8u * k]; }
        dx[at + 8u * k] = out;
      }
    }
  }
}
// @use group_index, lanes8
