// log(1 + eˣ) for any x: max(x, 0) + log(1 + e^−|x|); by the series where 1 + e would round e away.
fn softplus4(x: vec4f) -> vec4f {
  let e = exp(-abs(x));
  let y = max(x, vec4f(0.0)) + select(log(1.0 + e), e * (1.0 - e * (0.5 - e / 3.0)), e < vec4f(0.01));
  return or_nan4(y, x);
}
// @use nan
