// gated_recurrence_fwd: y[t] = a[t] · y[t − 1] + (1 − a[t]) · v[t] with a = σ(f), from zero where a history starts
// (HGRN, Qin et al. 2023, eq. 3 to 6, with real numbers).
// Layout: x [L, 2D], f and v side by side; start [L], where the history of each token starts; y [L, D].
// A thread owns four channels of all tokens, one after the other; a workgroup 32 channels. No workgroup memory.
// Host: D % 4 = 0; d4 = D / 4.
struct Params { l: u32, d4: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let c = group_index(wid, grid) * 8u + lid;
  if (c >= p.d4) { return; }
  var state = vec4f();
  for (var t = 0u; t < p.l; t++) {
    let at = 2u * t * p.d4 + c;
    if (start[t] >= t) { state = vec4f(); }
    let a = 1.0 / (1.0 + exp(-x[at]));
    state = a * state + (1.0 - a) * x[at + p.d4];
    y[t * p.d4 + c] = state;
  }
}
// @use group_index
