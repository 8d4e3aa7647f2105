// rows_adagrad: the step of row-wise Adagrad (and of average.wgsl where average_on = 1) for the rows of `touched`, with one
// sum of squares a row: G += mean of g²; x −= lr · (rate · g / (√G + ε) + λ · x); grads = 0. Rows of other shards are
// passed over.
// Layout: params, average [V, D], sums [V], the rows [first, first + V) of a table; grads [S, D]; touched as rows_catch_up has
// it, each row once; state [16]; status.
// LANES threads own a row, a thread every LANES-th Element of it; a workgroup 64 / LANES rows; the threads' shares of the
// mean are added in order. 256 bytes of workgroup memory.
// Host: D % SIZE = 0; rows_catch_up ran before the gradients were computed. Nothing once status[STATUS_FAILED] is set.
struct Params { d: u32, v: u32, first: u32, rate: f32, eps: f32, decay: f32, average_on: u32, average_decay: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> status: array<u32>;
@group(0) @binding(3) var<storage, read> touched: array<u32>;
@group(0) @binding(4) var<storage, read_write> grads: array<Element>;
@group(0) @binding(5) var<storage, read_write> params: array<Element>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(0) @binding(7) var<storage, read_write> average: array<Element>;

alias Element = vec4f; // @tune
const SIZE: u32 = 4; // @tune elements of Element
const LANES: u32 = 16; // @tune
var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  let lane = lid % LANES;
  let width = p.d / SIZE;
  var row = 0xffffffffu;
  var at = 0u;
  if (i < touched[0] && status[STATUS_FAILED] == 0u) {
    row = touched[64u + 3u * i] - p.first; // wraps around below first
    at = touched[66u + 3u * i];
  }
  let scale = bitcast<f32>(status[STATUS_SCALE]);
  var squares = Element(0.0);
  var total = 0.0;
  if (row < p.v) {
    total = sums[row]; // before the barrier: one thread of the row writes it after
    for (var c = lane; c < width; c += LANES) {
      let g = grads[at * width + c] * scale;
      squares += g * g;
    }
  }
  parts[lid] = dot(vec4f(squares), select(vec4f(1.0, 0.0, 0.0, 0.0), vec4f(1.0), SIZE == 4u));
  workgroupBarrier();
  if (row >= p.v) { return; }
  var sum = 0.0;
  for (var k = 0u; k < LANES; k++) { sum += parts[lid - lane + k]; }
  total += sum / f32(p.d);
  if (lane == 0u) { sums[row] = total; }
  let inverse = p.rate / (sqrt(total) + p.eps);
  let lr = bitcast<f32>(state[STATE_LEARNING_RATE]);
  let t = f32(status[STATUS_STEP]);
  let k = min(p.average_decay, (1.0 + t) / (10.0 + t));
  for (var c = lane; c < width; c += LANES) {
    let e = row * width + c;
    let g = grads[at * width + c] * scale;
    let old = params[e];
    let x = old - lr * (g * inverse + p.decay * old);
    params[e] = x;
    if (p.average_on == 1u) { average[e] = x + k * (average[e] - x); }
    grads[at * width + c] = Element(0.0);
  }
}
// @use group_index, state, status
