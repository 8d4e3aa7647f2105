// attention_bwd_delta: stats.y = Σ_c dout_ic · o_ic for each head (D in FlashAttention-2, algorithm 2, line 4);
// stats.x, the logsumexp, stays.
// Layout: dout, o [L, HK]; stats [H, L] of 2. A thread owns one (token, head), a workgroup 64. No workgroup memory.
// Host: K % 4 = 0.
struct Params { l: u32, heads: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dout: array<vec4f>;
@group(0) @binding(2) var<storage, read> o: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> stats: array<vec2f>;

const K: u32 = 32; // @tune
const K4: u32 = K / 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let n = group_index(wid, grid) * 64u + lid; // token · heads + head
  if (n >= p.l * p.heads) { return; }
  var sum = vec4f(0.0);
  let k4 = K4 + (p.l >> 31u); // a loop that is not unrolled: loads are long
  for (var c = 0u; c < k4; c++) { sum += dout[n * K4 + c] * o[n * K4 + c]; }
  stats[(n % p.heads) * p.l + n / p.heads].y = sum.x + sum.y + sum.z + sum.w;
}
// @use group_index
