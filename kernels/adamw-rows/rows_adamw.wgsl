// rows_adamw: the step of adamw.wgsl (and of average.wgsl where average_on = 1) for the rows of `touched`, whose gradients
// are grads[touched[66 + 3i]] for the row touched[64 + 3i]; grads = 0. Rows of other shards are passed over.
// Layout: params, m, v, average [V, D], the rows [first, first + V) of a table; grads [S, D]; touched as rows_catch_up has it,
// each row once; state [16]; status.
// LANES threads own a row, a thread every LANES-th Element of it; a workgroup 64 / LANES rows. No workgroup memory.
// Host: D % SIZE = 0; rows_catch_up ran before the gradients were computed. Nothing once status[STATUS_FAILED] is set.
struct Params { d: u32, v: u32, first: u32, beta1: f32, beta2: f32, rest1: f32, rest2: f32, eps: f32, decay: f32,
  rate: f32, average_on: u32, average_decay: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> status: array<u32>;
@group(0) @binding(3) var<storage, read> touched: array<u32>;
@group(0) @binding(4) var<storage, read_write> grads: array<Element>;
@group(0) @binding(5) var<storage, read_write> params: array<Element>;
@group(0) @binding(6) var<storage, read_write> m: array<Element>;
@group(0) @binding(7) var<storage, read_write> v: array<Element>;
@group(0) @binding(8) var<storage, read_write> average: array<Element>;

alias Element = vec4f; // @tune
const SIZE: u32 = 4; // @tune elements of Element
const LANES: u32 = 16; // @tune

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * (64u / LANES) + lid / LANES;
  if (i >= touched[0] || status[STATUS_FAILED] != 0u) { return; }
  let row = touched[64u + 3u * i] - p.first; // wraps around below first
  if (row >= p.v) { return; }
  let at = touched[66u + 3u * i];
  let lr = bitcast<f32>(state[STATE_LEARNING_RATE]);
  let t = f32(status[STATUS_STEP]);
  let k = min(p.average_decay, (1.0 + t) / (10.0 + t));
  let width = p.d / SIZE;
  for (var c = lid % LANES; c < width; c += LANES) {
    let e = row * width + c;
    let g = grads[at * width + c] * bitcast<f32>(status[STATUS_SCALE]);
    let first = p.beta1 * m[e] + p.rest1 * g;
    let second = p.beta2 * v[e] + p.rest2 * g * g;
    let step = (first / bitcast<f32>(status[STATUS_CORRECTION1])) / (sqrt(second / bitcast<f32>(status[STATUS_CORRECTION2])) + p.eps);
    let old = params[e];
    let x = old - lr * (p.rate * step + p.decay * old);
    params[e] = x;
    m[e] = first;
    v[e] = second;
    if (p.average_on == 1u) { average[e] = x + k * (average[e] - x); }
    grads[at * width + c] = Element(0.0);
  }
}
// @use group_index, state, status
