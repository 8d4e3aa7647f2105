// unary_bwd: dx = [dx +] dy · f′(x), f′ being the expression of an op in engine/ops/unary.ts; adds to dx where acc = 1.
// Layout: x, dy, dx [n], f32. A thread owns one vec4, a workgroup 1,024 elements. No workgroup memory.
// Host: buffers are padded to 16 bytes; the last vec4 may touch the padding.
struct Params { n: u32, alpha: f32, beta: f32, acc: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read_write> dx: array<T>;
alias T = vec4f;
alias U = vec4u;

fn f(x: T, alpha: f32, beta: f32) -> T { return x * alpha + beta; } // @tune

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 256u + lid;
  if (i * 4u < p.n) {
    var g = dy[i] * f(x[i], p.alpha, p.beta);
    if (p.acc == 1u) { g += dx[i]; }
    dx[i] = g;
  }
}
// @use group_index, elementwise, erf, gelu, sigmoid, softplus
