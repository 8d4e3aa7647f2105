// adamw: with g = grads · scale, m = β₁m + (1 − β₁)g, v = β₂v + (1 − β₂)g²,
//   param −= lr · r · (m / c₁) / (√(v / c₂) + ε) + lr · λ · param, grads = 0; λ = decay for elements < decay_end,
//   embedding_decay for those from there to embedding_end, 0 for the others; r = table_rate for those from
//   decay_end to table_end, 1 for the others. With state[STATE_FROZEN] only these move; the others keep their values.
// Decoupled weight decay (Loshchilov & Hutter 2019, Alg. 2). Nothing happens once status[STATUS_FAILED] is set.
// Layout: params, grads, m, v [n]; state [16]; status: c₁ = 1 − β₁ᵗ and c₂ = 1 − β₂ᵗ are its corrections.
// A thread owns one vec4, a workgroup of 64 256 elements. No workgroup memory. Host: buffers are padded to 16 bytes.
struct Params { n: u32, decay_end: u32, beta1: f32, beta2: f32, rest1: f32, rest2: f32, eps: f32, decay: f32,
  embedding_end: u32, embedding_decay: f32, table_end: u32, table_rate: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> status: array<u32>;
@group(0) @binding(3) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> grads: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  if (i * 4u >= p.n || status[STATUS_FAILED] != 0u) { return; }
  let lr = bitcast<f32>(state[STATE_LEARNING_RATE]);
  let g = grads[i] * bitcast<f32>(status[STATUS_SCALE]);
  let first = p.beta1 * m[i] + p.rest1 * g;
  let second = p.beta2 * v[i] + p.rest2 * g * g;
  let step = (first / bitcast<f32>(status[STATUS_CORRECTION1])) / (sqrt(second / bitcast<f32>(status[STATUS_CORRECTION2])) + p.eps);
  let old = params[i];
  let at = vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u);
  let decays = at < vec4u(p.decay_end);
  let rest = select(vec4f(0.0), p.embedding_decay * old, at < vec4u(p.embedding_end));
  let decay = select(rest, p.decay * old, decays);
  let tables = !decays & (at < vec4u(p.table_end));
  let rate = select(vec4f(1.0), vec4f(p.table_rate), tables);
  let moves = tables | vec4<bool>(state[STATE_FROZEN] == 0u);
  params[i] = select(old, old - lr * (rate * step + decay), moves);
  m[i] = first;
  v[i] = second;
  grads[i] = vec4f(0.0);
}
// @use group_index, state, status
