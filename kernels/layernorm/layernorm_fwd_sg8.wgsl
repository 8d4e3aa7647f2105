enable subgroups;
// layernorm_fwd for subgroups of exactly 8 and D % 4 = 0, D ≤ 32·V: formula and layout as in layernorm_fwd.wgsl.
// A subgroup owns ROWS rows, one after the other; a lane holds the vec4 lane, lane + 8, … of a row in registers, so that
// every value is loaded once; lanes beyond the width and rows beyond the last repeat the last one and do not write.
// A workgroup is four subgroups. No workgroup memory.
struct Params { rows: u32, d: u32, eps: f32, flags: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> r: array<vec4f>;
@group(0) @binding(4) var<storage, read> weight: array<vec4f>;
@group(0) @binding(5) var<storage, read> bias: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> norm: array<vec4f>;

const V: u32 = 2; // @tune
const ROWS: u32 = 16; // @tune
const FLAG_RESIDUAL: u32 = 1u;
const FLAG_DROPOUT: u32 = 2u;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let first = (group_index(wid, grid) * 4u + lid / 8u) * ROWS;
  let lane = lid % 8u;
  let width = p.d / 4u;
  let residual = (p.flags & FLAG_RESIDUAL) != 0u;
  var key = vec2u(0u);
  var masked = false;
  if ((p.flags & FLAG_DROPOUT) != 0u) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  var w: array<vec4f, V>;
  var b: array<vec4f, V>;
  for (var k = 0u; k < V; k++) {
    let c = min(lane + 8u * k, width - 1u);
    w[k] = weight[c];
    b[k] = bias[c];
  }
  for (var i = 0u; i < ROWS; i++) {
    let inside = first + i < p.rows;
    let base = min(first + i, p.rows - 1u) * width;
    var v: array<vec4f, V>;
    var total = vec4f();
    for (var k = 0u; k < V; k++) {
      let c = lane + 8u * k;
      let e = base + min(c, width - 1u);
      v[k] = x[e];
      if (residual) {
        var add = r[e];
        if (masked) { add *= keep4(key, p.op, e, p.threshold, p.scale); }
        v[k] += add;
        if (inside && c < width) { sum[e] = v[k]; }
      }
      total += select(vec4f(), v[k], c < width);
    }
    let mean = sum8(total.x + total.y + total.z + total.w) / f32(p.d);
    var squares = vec4f();
    for (var k = 0u; k < V; k++) {
      v[k] -= mean;
      squares += select(vec4f(), v[k] * v[k], lane + 8u * k < width);
    }
    let rstd = inverse_sqrt(sum8(squares.x + squares.y + squares.z + squares.w) / f32(p.d) + p.eps);
    for (var k = 0u; k < V; k++) {
      let c = lane + 8u * k;
      if (inside && c < width) { norm[base + c] = v[k] * rstd * w[k] + b[k]; }
    }
  }
}
// @use group_index, inverse_sqrt, keep, lanes8, state
