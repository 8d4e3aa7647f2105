// grad_norm_finish: counts the step, norm = sqrt(Σ partial), clip scale = min(1, max_norm / (norm + 1e-6)), and the step's
// verdict in status:
//   0 the first step whose loss, gradient or learning rate was not finite (0: none; then nothing here changes any more)
//   1 the norm, 2 the scale, 3 the loss (f32 bits each), 4 what was not finite: 1 the loss, 2 the gradient, 4 the rate
//   5 steps taken, this one included; 6 and 7 its bias corrections 1 − β₁ᵗ and 1 − β₂ᵗ (f32 bits)
//   16 … the corrections of steps 1 to `rows`, two words each, made by the host in double precision; 1 from there on.
// The loss also goes to losses[step mod ring].
// Layout: state [16] (word 2: learning rate), loss [1], partial [count], status [16 + 2 rows], losses [ring], all as u32.
// One thread does it all, in order. No workgroup memory. max_norm = 0: no clipping.
struct Params { count: u32, max_norm: f32, has_loss: u32, ring: u32, rows: u32 }
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
  let step = status[5] + 1u;
  status[5] = step;
  let at = 16u + 2u * (min(step, p.rows) - 1u);
  status[6] = status[at];
  status[7] = status[at + 1u];
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
  if ((state[2] & EXPONENT) == EXPONENT) { bad |= 4u; }
  status[2] = bitcast<u32>(scale);
  status[4] = bad;
  if (bad != 0u) { status[0] = step; }
}
