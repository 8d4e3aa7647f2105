enable subgroups;
// layernorm_bwd for subgroups of exactly 8 and D % 4 = 0, D ≤ 32·V: formula and layout as in layernorm_bwd.wgsl.
// A subgroup (a workgroup of 8) owns a block of p.block rows, one after the other; a lane holds the vec4 lane, lane + 8, …
// of a row and of the column sums in registers, so that every value is loaded once. No workgroup memory.
struct Params { rows: u32, d: u32, eps: f32, flags: u32, block: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> sum: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<vec4f>;
@group(0) @binding(4) var<storage, read> dnorm: array<vec4f>;
@group(0) @binding(5) var<storage, read> dsum: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dr: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> partial: array<vec4f>;

const V: u32 = 2; // @tune
const FLAG_DROPOUT: u32 = 2u;
const FLAG_DNORM: u32 = 4u;
const FLAG_DSUM: u32 = 8u;
const FLAG_DX: u32 = 16u;
const FLAG_ADD_DX: u32 = 32u;
const FLAG_DR: u32 = 64u;
const FLAG_ADD_DR: u32 = 128u;
const FLAG_COLUMNS: u32 = 256u;

fn on(flag: u32) -> bool { return (p.flags & flag) != 0u; }

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = group_index(wid, grid);
  let first = block * p.block;
  if (first >= p.rows) { return; }
  let last = min(p.rows, first + p.block);
  let width = p.d / 4u;
  let n = f32(p.d);
  var key = vec2u(0u);
  var masked = false;
  if (on(FLAG_DROPOUT)) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  var w: array<vec4f, V>;
  var dw: array<vec4f, V>;
  var db: array<vec4f, V>;
  for (var k = 0u; k < V; k++) {
    if (lane + 8u * k < width) { w[k] = weight[lane + 8u * k]; }
  }
  for (var row = first; row < last; row++) {
    var dz: array<vec4f, V>;
    if (on(FLAG_DNORM)) {
      var v: array<vec4f, V>;
      var dy: array<vec4f, V>;
      var total = 0.0;
      for (var k = 0u; k < V; k++) {
        let c = lane + 8u * k;
        if (c < width) {
          v[k] = sum[row * width + c];
          dy[k] = dnorm[row * width + c];
          total += dot(v[k], vec4f(1.0));
        }
      }
      let mean = sum8(total) / n;
      var three = vec3f(0.0);
      for (var k = 0u; k < V; k++) {
        if (lane + 8u * k < width) {
          v[k] -= mean;
          let g = dy[k] * w[k];
          three += vec3f(dot(v[k], v[k]), dot(g, vec4f(1.0)), dot(g, v[k]));
        }
      }
      three = vec3f(sum8(three.x), sum8(three.y), sum8(three.z)) / n;
      let rstd = inverse_sqrt(three.x + p.eps);
      for (var k = 0u; k < V; k++) {
        let normal = v[k] * rstd;
        dz[k] = rstd * (dy[k] * w[k] - three.y - normal * (three.z * rstd));
        dw[k] += dy[k] * normal;
        db[k] += dy[k];
      }
    } else {
      for (var k = 0u; k < V; k++) { dz[k] = vec4f(0.0); }
    }
    for (var k = 0u; k < V; k++) {
      let c = lane + 8u * k;
      if (c < width) {
        let e = row * width + c;
        if (on(FLAG_DSUM)) { dz[k] += dsum[e]; }
        if (on(FLAG_DX)) {
          var out = dz[k];
          if (on(FLAG_ADD_DX)) { out += dx[e]; }
          dx[e] = out;
        }
        if (on(FLAG_DR)) {
          var out = dz[k];
          if (masked) { out *= keep4(key, p.op, e, p.threshold, p.scale); }
          if (on(FLAG_ADD_DR)) { out += dr[e]; }
          dr[e] = out;
        }
      }
    }
  }
  if (on(FLAG_COLUMNS)) {
    for (var k = 0u; k < V; k++) {
      let c = lane + 8u * k;
      if (c < width) {
        partial[block * 2u * width + c] = dw[k];
        partial[(block * 2u + 1u) * width + c] = db[k];
      }
    }
  }
}
// @use group_index, inverse_sqrt, keep, lanes8, state
