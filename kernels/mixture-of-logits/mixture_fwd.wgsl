// mixture_fwd: scores of a mixture of logits (Zhai et al., KDD 2023). For a state u and an item x of its list, with the K
// component logits z and the gate that was computed from them, t:
//   π = softmax_k(ug[u] + ig[x] + t);   score = scale · Σ π_k z_k
// Layout: z, t [R · N, K]; ug [R, K]; ig [lists, N, K], list ⌊u / group⌋; scores: row u starts at u · ld. A thread owns a
//   pair (u, x), a workgroup 64. No workgroup memory. Host: K % 4 = 0.
struct Params { rows: u32, n: u32, group: u32, ld: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> z: array<vec4f>;
@group(0) @binding(2) var<storage, read> t: array<vec4f>;
@group(0) @binding(3) var<storage, read> ug: array<vec4f>;
@group(0) @binding(4) var<storage, read> ig: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> scores: array<f32>;

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
  var top = vec4f(-3e38);
  for (var k = 0u; k < K4; k++) {
    gate[k] = t[pair * K4 + k] + ug[u * K4 + k] + ig[list + k];
    top = max(top, gate[k]);
  }
  let most = vec4f(max(max(top.x, top.y), max(top.z, top.w)));
  var sum = vec4f();
  var below = vec4f();
  var mixed = vec4f();
  for (var k = 0u; k < K4; k++) {
    let d = gate[k] - most;
    let e = exp(d);
    sum += e;
    below += d;
    mixed += e * z[pair * K4 + k];
  }
  let total = or_nan(dot(sum, vec4f(1.0)), dot(below, vec4f(1.0)));
  scores[u * p.ld + x] = p.scale * dot(mixed, vec4f(1.0)) / total;
}
// @use group_index, nan
