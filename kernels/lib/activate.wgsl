// @use gelu, nan
// An activation by number: 0 none, 1 ReLU, 2 GELU (tanh), 3 SiLU; and its slope at the input x.
fn activate4(kind: u32, x: vec4f) -> vec4f {
  if (kind == 1u) { return or_nan4(max(x, vec4f()), x); }
  if (kind == 2u) { return gelu4(x); }
  if (kind == 3u) { return x / (1.0 + exp(clamp(-x, vec4f(-80.0), vec4f(80.0)))); }
  return x;
}
fn activate_slope4(kind: u32, x: vec4f) -> vec4f {
  if (kind == 1u) { return or_nan4(select(vec4f(), vec4f(1.0), x > vec4f()), x); }
  if (kind == 2u) { return gelu_slope4(x); }
  if (kind == 3u) {
    let s = 1.0 / (1.0 + exp(clamp(-x, vec4f(-80.0), vec4f(80.0))));
    return s * (1.0 + x * (1.0 - s));
  }
  return vec4f(1.0);
}
