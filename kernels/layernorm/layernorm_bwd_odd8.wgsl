enable subgroups;
// layernorm_bwd for subgroups of exactly 8 and rows of any width: formula and layout as in layernorm_bwd.wgsl.
// A subgroup (a workgroup of 8) owns a block of p.block rows, one after the other; a lane every eighth column of them and
// of the block's column sums, which it adds up in place. No workgroup memory.
struct Params { rows: u32, d: u32, eps: f32, flags: u32, block: u32, op: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> sum: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> dnorm: array<f32>;
@group(0) @binding(5) var<storage, read> dsum: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> dr: array<f32>;
@group(0) @binding(8) var<storage, read_write> partial: array<f32>;

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
  let n = f32(p.d);
  var key = vec2u(0u);
  var masked = false;
  if (on(FLAG_DROPOUT)) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  for (var row = first; row < last; row++) {
    let base = row * p.d;
    var mean = 0.0;
    var three = vec3f(0.0);
    var rstd = 0.0;
    if (on(FLAG_DNORM)) {
      var total = 0.0;
      for (var c = lane; c < p.d; c += 8u) { total += sum[base + c]; }
      mean = sum8(total) / n;
      for (var c = lane; c < p.d; c += 8u) {
        let v = sum[base + c] - mean;
        let g = dnorm[base + c] * weight[c];
        three += vec3f(v * v, g, g * v);
      }
      three = vec3f(sum8(three.x), sum8(three.y), sum8(three.z)) / n;
      rstd = inverse_sqrt(three.x + p.eps);
    }
    for (var c = lane; c < p.d; c += 8u) {
      let e = base + c;
      var dz = 0.0;
      if (on(FLAG_DNORM)) {
        let normal = (sum[e] - mean) * rstd;
        let dy = dnorm[e];
        dz = rstd * (dy * weight[c] - three.y - normal * (three.z * rstd));
        if (on(FLAG_COLUMNS)) {
          let at = block * 2u * p.d + c;
          var dw = dy * normal;
          var db = dy;
          if (row > first) {
            dw += partial[at];
            db += partial[at + p.d];
          }
          partial[at] = dw;
          partial[at + p.d] = db;
        }
      }
      if (on(FLAG_DSUM)) { dz += dsum[e]; }
      if (on(FLAG_DX)) {
        var out = dz;
        if (on(FLAG_ADD_DX)) { out += dx[e]; }
        dx[e] = out;
      }
      if (on(FLAG_DR)) {
        if (masked) { dz *= keep1(key, p.op, e, p.threshold, p.scale); }
        if (on(FLAG_ADD_DR)) { dz += dr[e]; }
        dr[e] = dz;
      }
    }
  }
}
// @use group_index, inverse_sqrt, keep, lanes8, state
