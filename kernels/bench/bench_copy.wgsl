// bench_copy: y = x. What the bench calls the adapter's memory bandwidth: each vec4f is read once and written once.
// Layouts: x, y [n] f32. A thread owns four vec4f, 256 apart; a workgroup 1024 of them. No workgroup memory.
// Grid: ⌈n/4096⌉, folded. Host: n % 4096 == 0.
// @use group_index
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(num_workgroups) grid: vec3u,
  @builtin(local_invocation_index) lid: u32,
) {
  let i = group_index(wid, grid) * 1024u + lid;
  if (i >= p.n / 4u) { return; }
  y[i] = x[i];
  y[i + 256u] = x[i + 256u];
  y[i + 512u] = x[i + 512u];
  y[i + 768u] = x[i + 768u];
}
