// The epilogue of the products that store vec4s, with the bindings and constants of the kernel that uses it. FLAGS:
//   v = value [+ bias: 1]; z = v [4]; v = act(v), or v · act'(z) [16]; v · mask [64]; v + residual [32]; v + c [2]; c = v.
// The mask is dropout's, of C's elements in their order, so that a separate dropout would draw the same one.
fn finish(row: u32, col: u32, base: u32, bias_value: vec4f, value: vec4f) {
  if (row >= p.m || col >= p.n) { return; }
  let at = (base + row * p.ldc + col) / 4u;
  var v = value + bias_value;
  if ((FLAGS & 4u) != 0u) { z[at] = v; }
  if ((FLAGS & 16u) != 0u) { v *= activate_slope4(ACT, z[at]); } else { v = activate4(ACT, v); }
  if ((FLAGS & 64u) != 0u && state[5] != 0u) { v *= keep4(vec2u(state[0], state[1]), p.op, at, p.threshold, p.scale); }
  if ((FLAGS & 32u) != 0u) { v += residual[at]; }
  if ((FLAGS & 2u) != 0u) { v += c[at]; }
  c[at] = v;
}
// The bias of four columns, or zeros.
fn bias_at(col: u32) -> vec4f {
  var v = vec4f();
  if ((FLAGS & 1u) != 0u && col < p.n) { v = bias[col / 4u]; }
  return v;
}
// @use activate, keep
