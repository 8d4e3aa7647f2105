// The nearest numbers of f16; beyond its range the largest. NaN stays NaN.
fn narrow4(v: vec4f) -> vec4<f16> { return vec4<f16>(select(clamp(v, vec4f(-65504.0), vec4f(65504.0)), v, is_nan4(v))); }
// @use nan
