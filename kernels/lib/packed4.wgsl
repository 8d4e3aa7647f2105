// Numbers 4q … 4q + 3 of a compressed table (engine/packed.ts), before the row's scale.
// The kernel has: words: array<u32>; const BITS: of a number, 16 (f16), 8 (two's complement) or 4 (plus 8).
fn packed4(q: u32) -> vec4f {
  if (BITS == 16u) { return vec4f(unpack2x16float(words[2u * q]), unpack2x16float(words[2u * q + 1u])); }
  if (BITS == 8u) { return vec4f(bitcast<vec4i>(vec4u(words[q]) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)); }
  return vec4f((vec4u(words[q / 2u] >> (16u * (q & 1u))) >> vec4u(0u, 4u, 8u, 12u)) & vec4u(15u)) - 8.0;
}
