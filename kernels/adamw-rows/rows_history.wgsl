// rows_history: notes of the step t that status counts what idle rows need of it, at t mod ring:
//   lr · rate / c₁, 1 / √c₂, lr · λ, Σ ln(1 − lr · λ) over the steps since the last multiple of ring; with average_on = 1 the third
//   is min(average_decay, (1 + t) / (10 + t)), what the average keeps of itself (λ = 0 then).
// Layout: state [16], status, history [ring]. One thread. No workgroup memory. Nothing once status[STATUS_FAILED] is set.
struct Params { ring: u32, decay: f32, rate: f32, average_on: u32, average_decay: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read> status: array<u32>;
@group(0) @binding(3) var<storage, read_write> history: array<vec4f>;

@compute @workgroup_size(1)
fn main() {
  if (status[STATUS_FAILED] != 0u) { return; }
  let t = status[STATUS_STEP];
  let lr = bitcast<f32>(state[STATE_LEARNING_RATE]);
  var sum = 0.0;
  if (t % p.ring != 1u) { sum = history[(t - 1u) % p.ring].w; }
  // ln(1 − x) by its series: x is small, and 1 − x would lose it.
  let x = lr * p.decay;
  sum -= x * (1.0 + x * (0.5 + x * (1.0 / 3.0 + x * (0.25 + x * 0.2))));
  let kept = min(p.average_decay, (1.0 + f32(t)) / (10.0 + f32(t)));
  history[t % p.ring] = vec4f(lr * p.rate / bitcast<f32>(status[STATUS_CORRECTION1]),
    1.0 / sqrt(bitcast<f32>(status[STATUS_CORRECTION2])), select(x, kept, p.average_on == 1u), sum);
}
// @use state, status
