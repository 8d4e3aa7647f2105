// layernorm_bwd_row: with z = sum (the normalized input), n = (z − mean)·rstd, g = dnorm·weight:
//   dz = [dsum +] rstd · (g − mean(g) − n · mean(g·n));  dx = [dx +] dz;  dr = [dr +] dz · mask;
//   partial[block] = (Σ dnorm·n, Σ dnorm) over the rows of a block, for dweight and dbias (layernorm_bwd_columns).
// Layout: sum, dnorm, dsum, dx, dr [L, D], weight [D], partial [blocks, 2, D], D a multiple of 4; state [16]: seed, step, …, 5 on.
// A thread owns a block of p.block rows: made for adapters that compute on the CPU, where barriers cost more than strides.
// Host: what a flag switches off is neither read nor written.
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

const FLAG_DROPOUT: u32 = 2u;
const FLAG_DNORM: u32 = 4u;
const FLAG_DSUM: u32 = 8u;
const FLAG_DX: u32 = 16u;
const FLAG_ADD_DX: u32 = 32u;
const FLAG_DR: u32 = 64u;
const FLAG_ADD_DR: u32 = 128u;
const FLAG_COLUMNS: u32 = 256u;

fn on(flag: u32) -> bool { return (p.flags & flag) != 0u; }
fn all4(v: vec4f) -> f32 { return v.x + v.y + v.z + v.w; }

@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let block = group_index(wid, grid) * 16u + lid;
  let top = block * p.block;
  if (top >= p.rows) { return; }
  let width = p.d / 4u;
  let n = f32(p.d);
  var key = vec2u(0u);
  var masked = false;
  if (on(FLAG_DROPOUT)) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  for (var row = top; row < min(p.rows, top + p.block); row++) {
    let base = row * width;
    var mean = 0.0;
    var rstd = 0.0;
    var mean_g = 0.0;
    var mean_gn = 0.0;
    if (on(FLAG_DNORM)) {
      var total = vec4f();
      for (var c = 0u; c < width; c++) { total += sum[base + c]; }
      mean = all4(total) / n;
      var squares = vec4f();
      var gs = vec4f();
      var gvs = vec4f();
      for (var c = 0u; c < width; c++) {
        let v = sum[base + c] - mean;
        let g = dnorm[base + c] * weight[c];
        squares += v * v;
        gs += g;
        gvs += g * v;
      }
      rstd = inverse_sqrt(all4(squares) / n + p.eps);
      mean_g = all4(gs) / n;
      mean_gn = all4(gvs) / n * rstd;
    }
    for (var c = 0u; c < width; c++) {
      let e = base + c;
      var dz = vec4f();
      var dy = vec4f();
      var v = vec4f();
      if (on(FLAG_DNORM)) {
        dy = dnorm[e];
        v = (sum[e] - mean) * rstd;
        dz = rstd * (dy * weight[c] - mean_g - v * mean_gn);
      }
      if (on(FLAG_COLUMNS)) {
        let at = block * 2u * width + c;
        if (row == top) {
          partial[at] = dy * v;
          partial[at + width] = dy;
        } else {
          partial[at] += dy * v;
          partial[at + width] += dy;
        }
      }
      if (on(FLAG_DSUM)) { dz += dsum[e]; }
      if (on(FLAG_DX)) {
        if (on(FLAG_ADD_DX)) { dx[e] += dz; } else { dx[e] = dz; }
      }
      if (on(FLAG_DR)) {
        if (masked) { dz *= keep4(key, p.op, e, p.threshold, p.scale); }
        if (on(FLAG_ADD_DR)) { dr[e] += dz; } else { dr[e] = dz; }
      }
    }
  }
}
// @use group_index, inverse_sqrt, keep, state
