// grad_norm_finish: counts the step, norm = sqrt(Σ partial), clip scale = min(1, max_norm / (norm + 1e-6)), and the step's
// verdict in status (lib/status.wgsl).
// The loss also goes to losses[step mod ring].
// Layout: state [16], loss [1], partial [count], status [16 + 2 rows], losses [ring], all as u32.
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
  if (status[STATUS_FAILED] != 0u) { return; }
  let step = status[STATUS_STEP] + 1u;
  status[STATUS_STEP] = step;
  let at = STATUS_TABLE + 2u * (min(step, p.rows) - 1u);
  status[STATUS_CORRECTION1] = status[at];
  status[STATUS_CORRECTION2] = status[at + 1u];
  var bad = 0u;
  if (p.has_loss == 1u) {
    let bits = loss[0];
    if ((bits & EXPONENT) == EXPONENT) { bad = 1u; }
    status[STATUS_LOSS] = bits;
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
    status[STATUS_NORM] = top;
    scale = 0.0;
  } else {
    status[STATUS_NORM] = bitcast<u32>(norm);
  }
  if ((state[STATE_LEARNING_RATE] & EXPONENT) == EXPONENT) { bad |= 4u; }
  status[STATUS_SCALE] = bitcast<u32>(scale);
  status[STATUS_CAUSE] = bad;
  if (bad != 0u) { status[STATUS_FAILED] = step; }
}
// @use state, status
