// sgd: with g = grads · scale + decay · param (param below decay_end, else g = grads · scale), b = momentum · b + g,
//   param −= lr · (b, or g + momentum · b with Nesterov's), grads = 0. Without momentum b = g is not kept.
// Weight decay is coupled, as in Sutskever et al. 2013 and PyTorch. Nothing happens once status[STATUS_FAILED] is set.
// Layout: params, grads, m (holds b) [n]; state [16]; status [18 or more].
// A thread owns one vec4, a workgroup of 64 256 elements. No workgroup memory. Host: buffers are padded to 16 bytes.
struct Params { n: u32, decay_end: u32, momentum: f32, nesterov: u32, decay: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> status: array<u32>;
@group(0) @binding(3) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> grads: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> m: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  if (i * 4u >= p.n || status[STATUS_FAILED] != 0u) { return; }
  let old = params[i];
  let at = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
  let g = grads[i] * bitcast<f32>(status[STATUS_SCALE]) + select(vec4f(0.0), p.decay * old, at < vec4u(p.decay_end));
  var step = g;
  if (p.momentum != 0.0) {
    let b = p.momentum * m[i] + g;
    m[i] = b;
    step = select(b, g + p.momentum * b, p.nesterov == 1u);
  }
  params[i] = old - bitcast<f32>(state[STATE_LEARNING_RATE]) * step;
  grads[i] = vec4f(0.0);
}
// @use group_index, state, status
