// grad_norm_finish: norm = √Σ partial, clip scale = min(1, max_norm / (norm + 1e-6)), and the step's verdict in status:
//   0 the first step whose loss or gradient was not finite (0: none; then nothing here changes any more)
//   1 the norm, 2 the scale, 3 the loss (f32 bits each), 4 what was not finite: 1 the loss, 2 the gradient.
// The loss also goes to losses[step mod ring].
// Layout: state [16] (word 1: step, from 1 on), loss [1], partial [count], status [16], losses [ring], all as u32.
// One thread does it all, in order. No workgroup memory. max_norm = 0: no clipping.
struct Params { count: u32, max_norm: f32, has_loss: u32, ring: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> loss: array<u32>;
@group(0) @binding(3) var<storage, read> partial: array<u32>;
@group(0) @binding(4) var<storage, read_write> status: array<u32>;
@group(0) @binding(5) var<storage, read_write> losses: array<u32>;

const EXPONENT: u32 = 0x7f800000u;

@compute @workgroup_size(1)
fn main() {
  if (status[0] != 0u) { return; }
  let step = state[1];
  var bad = 0u;
  if (p.has_loss == 1u) {
    let bits = loss[0];
    if ((bits & EXPONENT) == EXPONENT) { bad = 1u; }
    status[3] = bits;
    losses[step % p.ring] = bits;
  }
  var total = 0.0;
  var top = 0u;
  for (var i = 0u; i < p.count; i++) {
    let bits = partial[i];
    top = max(top, bits & EXPONENT);
    if ((bits & EXPONENT) != EXPONENT) { total += bitcast<f32>(bits); }
  }
  // The sum itself may have overflowed.
  top = max(top, bitcast<u32>(total) & EXPONENT);
  let norm = sqrt(total);
  var scale = 1.0;
  if (p.max_norm > 0.0) { scale = min(1.0, p.max_norm / (norm + 1e-6)); }
  if (top == EXPONENT) {
    bad |= 2u;
    status[1] = top;
    scale = 0.0;
  } else {
    status[1] = bitcast<u32>(norm);
  }
  status[2] = bitcast<u32>(scale);
  status[4] = bad;
  if (bad != 0u) { status[0] = max(step, 1u); }
}
