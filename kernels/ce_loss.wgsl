// ce_loss: loss = Σ weightᵢ · (maximumᵢ + log Σexpᵢ − target's logitᵢ), in a fixed order.
// Layouts: stats [L] of (maximum, Σ exp, target's logit, 0), weights [L], loss [1].
// One workgroup of 256 threads; a thread owns every 256th row; 1,024 bytes of workgroup memory.
struct Params { l: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> stats: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
var<workgroup> parts: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lid: u32) {
  var sum = 0.0;
  for (var i = lid; i < p.l; i += 256u) {
    let w = weights[i];
    if (w != 0.0) {
      let s = stats[i];
      sum += w * (s.x + log(s.y) - s.z);
    }
  }
  parts[lid] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (lid < half) { parts[lid] += parts[lid + half]; }
    workgroupBarrier();
  }
  if (lid == 0u) { loss[0] = parts[0]; }
}
