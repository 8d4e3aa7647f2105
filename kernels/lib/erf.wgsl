// erf(x): its series up to ±0.5, beyond it 1 − (a₁t + … + a₅t⁵) exp(−x²) with t = 1/(1 + 0.3275911 |x|), which is
// within 2e-7 (Abramowitz & Stegun 1964, 7.1.5 and 7.1.26).
fn erf_of(x: vec4f) -> vec4f {
  let q = x * x;
  let near = x * (1.12837917 - q * (0.37612639 - q * (0.11283792 - q * (0.02686617 - q * (0.00522398 - q * 0.00085483)))));
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  let far = sign(x) * (1.0 - tail * exp(-q));
  return keep_nan(select(far, near, q < vec4f(0.25)), x);
}
// @use elementwise
