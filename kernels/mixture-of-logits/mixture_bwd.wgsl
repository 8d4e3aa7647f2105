// mixture_bwd: gradients of mixture_fwd at each pair (u, x), with g = scale · dy:
//   dt_k = g π_k (z_k − Σ π z);   dz_k = g π_k, but for what goes through the gate
// Layout: z, dz [R · N, K]; t [R · N, K], overwritten by dt, which is also what each pair adds to the gradients of ug and
//   ig; dy [R, N]; ug, ig as in mixture_fwd. A thread owns a pair, a workgroup 64. No workgroup memory. Host: K % 4 = 0.
struct Params { rows: u32, n: u32, group: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> z: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> t: array<vec4f>;
@group(0) @binding(3) var<storage, read> ug: array<vec4f>;
@group(0) @binding(4) var<storage, read> ig: array<vec4f>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> dz: array<vec4f>;

const K: u32 = 16; // @tune
const K4: u32 = K / 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let pair = group_index(wid, grid) * 64u + lid;
  if (pair >= p.rows * p.n) { return; }
  let u = pair / p.n;
  let x = pair % p.n;
  let list = (u / p.group * p.n + x) * K4;
  var gate: array<vec4f, K4>;
  var logits: array<vec4f, K4>;
  var top = vec4f(-3e38);
  for (var k = 0u; k < K4; k++) {
    gate[k] = t[pair * K4 + k] + ug[u * K4 + k] + ig[list + k];
    logits[k] = z[pair * K4 + k];
    top = max(top, gate[k]);
  }
  let most = vec4f(max(max(top.x, top.y), max(top.z, top.w)));
  var sum = vec4f();
  var below = vec4f();
  var mixed = vec4f();
  for (var k = 0u; k < K4; k++) {
    let d = gate[k] - most;
    gate[k] = exp(d);
    below += d;
    sum += gate[k];
    mixed += gate[k] * logits[k];
  }
  let total = or_nan(dot(sum, vec4f(1.0)), dot(below, vec4f(1.0)));
  let mean = dot(mixed, vec4f(1.0)) / total;
  let g = p.scale * dy[pair] / total;
  for (var k = 0u; k < K4; k++) {
    let d = g * gate[k];
    dz[pair * K4 + k] = d;
    t[pair * K4 + k] = d * (logits[k] - mean);
  }
}
// @use group_index, nan
