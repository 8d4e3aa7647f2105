// Whether a value is NaN or infinite, by its bits: WGSL may assume that arithmetic is finite.
fn not_finite(value: f32) -> bool { return (bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u; }
