// Elementwise functions and their slopes, four lanes at a time; op is 0 relu, 1 silu, 2 sigmoid, 3 tanh, 4 exp, 5 log.
// The sigmoid never takes exp of a positive number; tanh is clamped to ±15, where it is ±1 in f32.
fn unary_sigmoid(x: vec4f) -> vec4f {
  let e = exp(-abs(x));
  return select(e, vec4f(1.0), x >= vec4f(0.0)) / (1.0 + e);
}
fn unary_tanh(x: vec4f) -> vec4f { return or_nan4(tanh(clamp(x, vec4f(-15.0), vec4f(15.0))), x); }
fn unary_value(op: u32, x: vec4f) -> vec4f {
  switch op {
    case 0u: { return or_nan4(max(x, vec4f(0.0)), x); }
    case 1u: { return x * unary_sigmoid(x); }
    case 2u: { return unary_sigmoid(x); }
    case 3u: { return unary_tanh(x); }
    case 4u: { return or_nan4(exp(x), x); }
    default: { return or_nan4(log(x), x); }
  }
}
fn unary_slope(op: u32, x: vec4f) -> vec4f {
  switch op {
    case 0u: { return or_nan4(select(vec4f(0.0), vec4f(1.0), x > vec4f(0.0)), x); }
    case 1u: {
      let s = unary_sigmoid(x);
      return s * (1.0 + x * (unary_sigmoid(-x)));
    }
    case 2u: { return unary_sigmoid(x) * unary_sigmoid(-x); }
    case 3u: {
      let t = unary_tanh(x);
      return 1.0 - t * t;
    }
    case 4u: { return or_nan4(exp(x), x); }
    default: { return 1.0 / x; }
  }
}
// @use nan
