// bce_fwd: y[i] = weights[i] · (max(x, 0) − x · t + log(1 + exp(−|x|))), the binary cross-entropy of a logit x and a
// target t in [0, 1], in the form that cannot overflow.
// Layout: logits, targets, weights, y [n], f32. A thread owns one vec4, a workgroup 1,024 elements. No workgroup memory.
// Host: buffers are padded to 16 bytes; the last vec4 may touch the padding.
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<vec4f>;
@group(0) @binding(3) var<storage, read> weights: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

// log(1 + e) for 0 ≤ e ≤ 1; by the series where 1 + e would round e away.
fn log1p4(e: vec4f) -> vec4f { return select(log(1.0 + e), e * (1.0 - e * (0.5 - e / 3.0)), e < vec4f(0.01)); }

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u >= p.n) { return; }
  let x = logits[i];
  y[i] = weights[i] * (max(x, vec4f(0.0)) - x * targets[i] + log1p4(exp(-abs(x))));
}
// @use group_index
