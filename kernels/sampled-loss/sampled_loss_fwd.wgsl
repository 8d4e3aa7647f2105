// sampled_loss_fwd: loss of each position from the score of its target and of N negatives that it shares with its group.
// With x = neg − logq (logq where logq_on = 1), s = pos, hits (negative = target) left out, and w the weight:
//   kind 0  softmax  w · (log(eˢ + Σ eˣ) − s)                              sampled softmax
//   kind 1  bce      w · share · (beta · softplus(−s) + Σ softplus(x))     BCE, gBCE (Petrov & Macdonald 2023, eq. 10)
//   kind 2  bpr      w · share · Σ softplus(x − s)                         BPR (Rendle et al. 2009)
// Layout: pos, weights, terms [L], neg [L, N], targets u32 [L], negatives u32 and logq [G, N], the lists of groups of
//   `group` positions; stats [L] of (kind 0: log(eˢ + Σ eˣ), kind 2: Σ sigmoid(x − s); s; w; 0), for the gradient.
// LANES threads own a row, a thread every LANES-th vec4 of it; a workgroup 64 / LANES rows; the threads' shares are
//   merged in order. 512 bytes of workgroup memory. Rows of weight 0 give 0. Host: N % 4 = 0.
struct Params { l: u32, n: u32, group: u32, kind: u32, logq_on: u32, share: f32, beta: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> pos: array<f32>;
@group(0) @binding(2) var<storage, read> neg: array<vec4f>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read> negatives: array<vec4u>;
@group(0) @binding(5) var<storage, read> logq: array<vec4f>;
@group(0) @binding(6) var<storage, read> weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> stats: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> terms: array<f32>;

const LANES: u32 = 16; // @tune
const SOFTMAX: u32 = 0u;
const BCE: u32 = 1u;
var<workgroup> parts: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  let lane = lid % LANES;
  let width = p.n / 4u;
  var w = 0.0;
  var s = 0.0;
  // Softmax: the largest x and Σ e^(x − largest). Otherwise Σ sigmoid(x − s) and the sum of the losses.
  var a = select(0.0, -3e38, p.kind == SOFTMAX);
  var b = 0.0;
  var below = 0.0;
  if (row < p.l) {
    w = weights[row];
    s = pos[row];
  }
  if (!is_zero(w)) {
    let t = targets[row];
    let list = row / p.group * width;
    for (var c = lane; c < width; c += LANES) {
      let hit = negatives[list + c] == vec4u(t);
      var x = neg[row * width + c];
      if (p.logq_on == 1u) { x -= logq[list + c]; }
      if (p.kind == SOFTMAX) {
        x = select(x, vec4f(-3e38), hit);
        let top = max(a, max(max(x.x, x.y), max(x.z, x.w)));
        let d = x - top;
        b = b * exp(a - top) + dot(select(exp(d), vec4f(0.0), hit), vec4f(1.0));
        below += dot(d, vec4f(1.0));
        a = top;
      } else if (p.kind == BCE) {
        b += dot(select(softplus4(x), vec4f(0.0), hit), vec4f(1.0));
      } else {
        a += dot(select(sigmoid4(x - s), vec4f(0.0), hit), vec4f(1.0));
        b += dot(select(softplus4(x - s), vec4f(0.0), hit), vec4f(1.0));
      }
    }
  }
  parts[lid] = vec2f(a, or_nan(b, below));
  workgroupBarrier();
  if (row >= p.l || lane != 0u) { return; }
  if (is_zero(w)) {
    stats[row] = vec4f();
    terms[row] = 0.0;
    return;
  }
  if (p.kind == SOFTMAX) {
    var top = s;
    for (var k = 0u; k < LANES; k++) { top = max(top, parts[lid + k].x); }
    var sum = or_nan(exp(s - top), s);
    for (var k = 0u; k < LANES; k++) { sum += parts[lid + k].y * exp(parts[lid + k].x - top); }
    let lse = or_nan(top + log(sum), sum);
    stats[row] = vec4f(lse, s, w, 0.0);
    terms[row] = w * (lse - s);
    return;
  }
  var sums = vec2f();
  for (var k = 0u; k < LANES; k++) { sums += parts[lid + k]; }
  if (p.kind == BCE) { sums.y += p.beta * softplus4(vec4f(-s)).x; }
  stats[row] = vec4f(sums.x, s, w, 0.0);
  terms[row] = w * p.share * sums.y;
}
// @use group_index, softplus, sigmoid, nan
