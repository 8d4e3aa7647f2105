// The sigmoid, which never takes exp of a positive number; SiLU and its slope; tanh, clamped to ±15, where it is ±1 in f32.
fn sigmoid4(x: vec4f) -> vec4f {
  let e = exp(-abs(x));
  return select(e, vec4f(1.0), x >= vec4f(0.0)) / (1.0 + e);
}
fn silu4(x: vec4f) -> vec4f { return x * sigmoid4(x); }
fn silu_slope4(x: vec4f) -> vec4f {
  let s = sigmoid4(x);
  return s * (1.0 + x * sigmoid4(-x));
}
fn tanh4(x: vec4f) -> vec4f { return or_nan4(tanh(clamp(x, vec4f(-15.0), vec4f(15.0))), x); }
// @use nan
