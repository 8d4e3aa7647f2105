// layernorm_bwd: with z = sum (the normalized input), n = (z − mean)·rstd, g = dnorm·weight:
//   dz = [dsum +] rstd · (g − mean(g) − n · mean(g·n));  dx = [dx +] dz;  dr = [dr +] dz · mask;
//   partial[block] = (Σ dnorm·n, Σ dnorm) over the rows of a block, for dweight and dbias (layernorm_bwd_columns).
// mean and rstd are computed again: the row is loaded anyway, and a binding more would pass the limit of eight.
// Layout: sum, dnorm, dsum, dx, dr [L, D], weight [D], partial [blocks, 2, D], any D; state [16]: seed, step, …, 5 on.
// A workgroup of 64 owns a block of p.block rows, four at a time: first 16 threads a row find the row's means, then
// each thread owns columns lid, lid + 64, … of the four rows. Workgroup memory 1.4 KiB.
// Host: what a flag switches off is neither read nor written.
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

var<workgroup> part: array<f32, 64>;
var<workgroup> parts: array<vec3f, 64>;
var<workgroup> rows: array<vec4f, 4>; // mean, rstd, mean(g), mean(g·n)

fn on(flag: u32) -> bool { return (p.flags & flag) != 0u; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let block = group_index(wid, grid);
  let first = block * p.block;
  if (first >= p.rows) { return; }
  let last = min(p.rows, first + p.block);
  let lane = lid % 16u;
  let n = f32(p.d);
  var key = vec2u(0u);
  var masked = false;
  if (on(FLAG_DROPOUT)) {
    masked = state[STATE_DROPOUT] != 0u;
    key = vec2u(state[STATE_SEED], state[STATE_STEP]);
  }
  for (var top = first; top < last; top += 4u) {
    if (on(FLAG_DNORM)) {
      let row = top + lid / 16u;
      let base = row * p.d;
      let end = select(0u, p.d, row < last);
      var total = 0.0;
      for (var c = lane; c < end; c += 16u) { total += sum[base + c]; }
      part[lid] = total;
      workgroupBarrier();
      var mean = 0.0;
      for (var i = 0u; i < 16u; i++) { mean += part[(lid & 48u) + i]; }
      mean /= n;
      var three = vec3f(0.0);
      for (var c = lane; c < end; c += 16u) {
        let v = sum[base + c] - mean;
        let g = dnorm[base + c] * weight[c];
        three += vec3f(v * v, g, g * v);
      }
      parts[lid] = three;
      workgroupBarrier();
      if (lane == 0u) {
        var all = vec3f(0.0);
        for (var i = 0u; i < 16u; i++) { all += parts[lid + i]; }
        let rstd = inverse_sqrt(all.x / n + p.eps);
        rows[lid / 16u] = vec4f(mean, rstd, all.y / n, all.z / n * rstd);
      }
      workgroupBarrier();
    }
    for (var c = lid; c < p.d; c += 64u) {
      var dw = 0.0;
      var db = 0.0;
      for (var i = 0u; i < min(4u, last - top); i++) {
        let e = (top + i) * p.d + c;
        var dz = 0.0;
        if (on(FLAG_DNORM)) {
          let s = rows[i];
          let v = (sum[e] - s.x) * s.y;
          let dy = dnorm[e];
          dz = s.y * (dy * weight[c] - s.z - v * s.w);
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
    workgroupBarrier();
  }
}
// @use group_index, inverse_sqrt, keep, state
