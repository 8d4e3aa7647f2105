// NaN by its bits. WGSL may assume that there is none: comparisons, max, min and clamp may lose it, while sums and products
// of it stay NaN on every adapter tried.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn is_nan4(x: vec4f) -> vec4<bool> { return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u); }
// Whether x is 0 or -0; NaN is not.
fn is_zero(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0u; }
// y, or NaN where x is. exp and log of NaN may be any number: kernels that sum exp(d) sum d, too, and NaN in one sum makes
// the other NaN. With the maximum subtracted no d is positive, so that Σ d is never inf − inf.
fn or_nan(y: f32, x: f32) -> f32 { return select(y, x, is_nan(x)); }
fn or_nan4(y: vec4f, x: vec4f) -> vec4f { return select(y, x, is_nan4(x)); }
// A NaN; of a value that runs, since WGSL refuses a constant one.
fn make_nan(any: u32) -> f32 { return bitcast<f32>(0x7fc00000u | (any & 1u)); }
