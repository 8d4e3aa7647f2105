enable subgroups;
// layernorm_bwd for subgroups of any width: with z = sum (the normalized input), n = (z − mean)·rstd, g = dnorm·weight:
//   dz = [dsum +] rstd · (g − mean(g) − n · mean(g·n));  dx = [dx +] dz;  dr = [dr +] dz · mask;
//   partial[block] = (Σ dnorm·n, Σ dnorm) over the rows of a block, for dweight and dbias (layernorm_bwd_columns).
// mean and rstd are computed again: the row is loaded anyway, and a binding more would pass the limit of eight.
// Layout: sum, dnorm, dsum, dx, dr [L, D], weight [D], partial [blocks, 2, D], any D; state [16]: seed, step, …, 5 on.
// A workgroup of WG threads owns a block of p.block rows, four at a time, a thread the columns t, t + WG, … of the four;
// the sums of four rows go over the subgroups at once. Workgroup memory: 16·WG bytes. Its speed on a GPU is unmeasured.
// Host: what a flag switches off is neither read nor written.
const WG: u32 = 64; // @tune
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

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
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
  for (var top = first; top < last; top += 4u) {
    let count = min(4u, last - top);
    var mean = vec4f();
    var rstd = vec4f();
    var mean_g = vec4f();
    var mean_gn = vec4f();
    if (on(FLAG_DNORM)) {
      for (var c = lid; c < p.d; c += WG) {
        for (var i = 0u; i < count; i++) { mean[i] += sum[(top + i) * p.d + c]; }
      }
      mean = workgroup_sum4(lid, mean) / n;
      for (var c = lid; c < p.d; c += WG) {
        for (var i = 0u; i < count; i++) {
          let e = (top + i) * p.d + c;
          let v = sum[e] - mean[i];
          let g = dnorm[e] * weight[c];
          rstd[i] += v * v;
          mean_g[i] += g;
          mean_gn[i] += g * v;
        }
      }
      let variance = workgroup_sum4(lid, rstd) / n + p.eps;
      rstd = vec4f(inverse_sqrt(variance.x), inverse_sqrt(variance.y), inverse_sqrt(variance.z), inverse_sqrt(variance.w));
      mean_g = workgroup_sum4(lid, mean_g) / n;
      mean_gn = workgroup_sum4(lid, mean_gn) / n * rstd;
    }
    for (var c = lid; c < p.d; c += WG) {
      var dw = 0.0;
      var db = 0.0;
      for (var i = 0u; i < count; i++) {
        let e = (top + i) * p.d + c;
        var dz = 0.0;
        if (on(FLAG_DNORM)) {
          let v = (sum[e] - mean[i]) * rstd[i];
          let dy = dnorm[e];
          dz = rstd[i] * (dy * weight[c] - mean_g[i] - v * mean_gn[i]);
          dw += dy * v;
          db += dy;
        }
        if (on(FLAG_DSUM)) { dz += dsum[e]; }
        if (on(FLAG_DX)) {
          if (on(FLAG_ADD_DX)) { dx[e] += dz; } else { dx[e] = dz; }
        }
        if (on(FLAG_DR)) {
          if (masked) { dz *= keep1(key, p.op, e, p.threshold, p.scale); }
          if (on(FLAG_ADD_DR)) { dr[e] += dz; } else { dr[e] = dz; }
        }
      }
      if (on(FLAG_COLUMNS)) {
        let at = block * 2u * p.d + c;
        if (top == first) {
          partial[at] = dw;
          partial[at + p.d] = db;
        } else {
          partial[at] += dw;
          partial[at + p.d] += db;
        }
      }
    }
  }
}
// @use group_index, inverse_sqrt, keep, workgroup_sum4, state
