// bench_fma: what the bench calls the adapter's f32 rate: chains of c = c·a + b in registers, one load and one store.
// Layouts: x, y [n] f32, n a multiple of 4. A thread owns one vec4f and carries three of them (96 multiply-adds in the
//   loop's body hide the latency and still fit 16 registers of eight lanes). rounds · 8 · 3 · 4 · 2 FLOP a thread.
// Grid: ⌈n/4/WG⌉, folded. No workgroup memory. Host: n % 4 == 0; values of x in [-1, 1] stay finite.
// @use group_index
const WG: u32 = 64; // @tune
struct Params { n: u32, rounds: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let i = group_index(wid, grid) * WG + lid;
  if (i >= p.n / 4u) { return; }
  var c0 = x[i];
  var c1 = c0 + 0.25;
  var c2 = c0 - 0.25;
  let a = vec4f(0.5 * c0.x);
  let b = vec4f(c0.y);
  for (var r = 0u; r < p.rounds; r++) {
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b);
  }
  y[i] = c0 + c1 + c2;
}
