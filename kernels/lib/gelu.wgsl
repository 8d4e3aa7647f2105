// GELU (tanh approximation) and its slope, four lanes at a time. tanh is clamped to ±15, where it is ±1 in f32.
const GELU_C = 0.7978845608028654;
fn gelu_tanh4(x: vec4f) -> vec4f { return tanh(clamp(GELU_C * (x + 0.044715 * x * x * x), vec4f(-15.0), vec4f(15.0))); }
fn gelu4(x: vec4f) -> vec4f { return 0.5 * x * (1.0 + gelu_tanh4(x)); }
fn gelu_slope4(x: vec4f) -> vec4f {
  let t = gelu_tanh4(x);
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * GELU_C * (1.0 + 0.134145 * x * x);
}
