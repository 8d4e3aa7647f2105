// sampled_loss_bwd: the gradients of sampled_loss_fwd for an upstream gradient dy, with its kinds and layouts:
//   f = dy · w · share;  softmax: dneg = f · e^(x − lse), dpos = f · (e^(s − lse) − 1)
//   bce: dneg = f · sigmoid(x), dpos = −f · beta · sigmoid(−s);  bpr: dneg = f · sigmoid(x − s), dpos = −Σ dneg
// dneg [L, N] is 0 at hits; adds where acc_pos, acc_neg are 1. dy [1].
// LANES threads own a row, a thread every LANES-th vec4 of it; a workgroup 64 / LANES rows. No workgroup memory. Host: N % 4 = 0.
struct Params { l: u32, n: u32, group: u32, kind: u32, logq_on: u32, share: f32, beta: f32, acc_pos: u32, acc_neg: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> neg: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> negatives: array<vec4u>;
@group(0) @binding(4) var<storage, read> logq: array<vec4f>;
@group(0) @binding(5) var<storage, read> stats: array<vec4f>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;
@group(0) @binding(7) var<storage, read_write> dpos: array<f32>;
@group(0) @binding(8) var<storage, read_write> dneg: array<vec4f>;

const LANES: u32 = 16; // @tune
const SOFTMAX: u32 = 0u;
const BCE: u32 = 1u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (row >= p.l) { return; }
  let width = p.n / 4u;
  let lane = lid % LANES;
  let st = stats[row];
  let s = st.y;
  var f = dy[0] * st.z * p.share;
  let on = !is_zero(f);
  if (on && p.kind == SOFTMAX) { f = or_nan(f, st.x); } // a NaN in the row, which exp may lose
  let t = targets[row];
  let list = row / p.group * width;
  if (lane == 0u) {
    var g = 0.0;
    if (on) {
      if (p.kind == SOFTMAX) { g = f * (exp(s - st.x) - 1.0); }
      else if (p.kind == BCE) { g = -f * p.beta * sigmoid4(vec4f(-s)).x; }
      else { g = -f * st.x; }
    }
    if (p.acc_pos == 1u) { g += dpos[row]; }
    dpos[row] = g;
  }
  for (var c = lane; c < width; c += LANES) {
    let at = row * width + c;
    var g = vec4f(0.0);
    if (on) {
      var x = neg[at];
      if (p.logq_on == 1u) { x -= logq[list + c]; }
      // A hit may lie above the logarithm of the sum that left it out.
      if (p.kind == SOFTMAX) { g = exp(min(x - st.x, vec4f(0.0))); }
      else if (p.kind == BCE) { g = sigmoid4(x); }
      else { g = sigmoid4(x - s); }
      g = select(f * g, vec4f(0.0), negatives[list + c] == vec4u(t));
    }
    if (p.acc_neg == 1u) { g += dneg[at]; }
    dneg[at] = g;
  }
}
// @use group_index, sigmoid, nan
