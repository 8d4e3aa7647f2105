enable subgroups;
// ce_stats_sub (subgroups of any width): for each row of a block of logits the running maximum, Σ exp and the target's logit (online softmax,
// Milakov & Gimelshein 2018); the first block of columns starts them, later ones merge into them.
// Layouts: logits [R, ld] for the columns col0 … col0 + cols − 1 of the catalog (ld a multiple of 4), targets u32 [R],
//   weights f32 [R], stats [R] of (maximum, Σ exp(x − maximum), target's logit, Σ x).
// A workgroup of WG threads owns a row; a thread owns every WG-th vec4. 4·WG bytes of workgroup memory. Its speed on a
//   GPU is unmeasured.
// Rows of weight 0 are skipped. Host: what lies between cols and ld is never counted.
const WG: u32 = 64; // @tune
struct Params { r: u32, cols: u32, ld: u32, col0: u32, first: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec4f>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group_index(wid, grid);
  if (row >= p.r) { return; }
  var m4 = vec4f(-3e38);
  var s4 = vec4f();
  var x4 = vec4f();
  let base = row * p.ld / 4u;
  let quads = p.cols / 4u;
  for (var i = lane; i < quads; i += WG) {
    let x = logits[base + i];
    let next = max(m4, x);
    s4 = s4 * exp(m4 - next) + exp(x - next);
    x4 += x;
    m4 = next;
  }
  let rest = p.cols % 4u;
  if (rest > 0u && lane == 0u) {
    let inside = vec4u(0u, 1u, 2u, 3u) < vec4u(rest);
    let x = select(vec4f(-3e38), logits[base + quads], inside);
    let next = max(m4, x);
    s4 = s4 * exp(m4 - next) + select(vec4f(), exp(x - next), inside);
    x4 += select(vec4f(), x, inside);
    m4 = next;
  }
  let mine = max(max(m4.x, m4.y), max(m4.z, m4.w));
  let part = dot(s4, exp(m4 - mine));
  var m = workgroup_max(lane, mine);
  var s = workgroup_sum(lane, part * exp(mine - m));
  var total = workgroup_sum(lane, dot(x4, vec4f(1.0)));
  if (lane == 0u && !is_zero(weights[row])) {
    var hit = make_nan(row); // until a block holds the target: a label beyond the catalog makes the loss NaN
    if (p.first == 0u) {
      let old = stats[row];
      let top = max(m, old.x);
      s = s * exp(m - top) + old.y * exp(old.x - top);
      m = top;
      hit = old.z;
      total += old.w;
    }
    let t = targets[row] - p.col0; // wraps around below col0
    if (t < p.cols) { hit = logits[base + t / 4u][t % 4u]; }
    stats[row] = vec4f(m, or_nan(s, total), hit, total); // exp may have lost a NaN, the sum did not
  }
}
// @use group_index, workgroup_reduce, nan
