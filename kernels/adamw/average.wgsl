// average: average = k · average + (1 − k) · params with k = min(decay, (1 + t) / (10 + t)), the moving average of the
//   weights after step t. Nothing happens once status[STATUS_FAILED] is set.
// Layout: params, average [n]; status: t is its step.
// A thread owns one vec4, a workgroup of 64 256 elements. No workgroup memory. Host: buffers are padded to 16 bytes.
struct Params { n: u32, decay: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> status: array<u32>;
@group(0) @binding(2) var<storage, read> params: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> average: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = group_index(wid, grid) * 64u + lid;
  if (i * 4u >= p.n || status[STATUS_FAILED] != 0u) { return; }
  let t = f32(status[STATUS_STEP]);
  let k = min(p.decay, (1.0 + t) / (10.0 + t));
  let x = params[i];
  average[i] = x + k * (average[i] - x);
}
// @use group_index, status
