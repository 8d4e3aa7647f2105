// The epilogue of the products that store vec4s, with the bindings and constants of the kernel that uses it. FLAGS:
//   v = value [+ bias]; [z = v]; v = act(v), or v · act'(z); [v · mask]; [v + residual]; [v + c]; c = v.
// The mask is dropout's, of C's elements in their order, so that a separate dropout would draw the same one.
fn drop(at: u32, value: vec4f) -> vec4f {
  var v = value;
  if ((FLAGS & FLAG_DROPOUT) != 0u && state_word(STATE_DROPOUT) != 0u) {
    v *= keep4(vec2u(state_word(STATE_SEED), state_word(STATE_STEP)), p.op, at, p.threshold, p.scale);
  }
  if ((FLAGS & FLAG_RESIDUAL) != 0u) { v += residual[at]; }
  return v;
}
// Where DROP_LATER: the last two for rows that this thread has stored. A loop has the random numbers' code once, where
// unrolled stores would have it at each of them, and compile for half a minute on software adapters.
fn drop_rows(row0: u32, rows: u32, col: u32, base: u32) {
  if (col >= p.n) { return; }
  for (var row = row0; row < min(row0 + rows, p.m); row++) {
    let at = (base + row * p.ldc + col) / 4u;
    c[at] = drop(at, c[at]);
  }
}
fn finish(row: u32, col: u32, base: u32, bias_value: vec4f, value: vec4f) {
  if (row >= p.m || col >= p.n) { return; }
  let at = (base + row * p.ldc + col) / 4u;
  var v = value + bias_value;
  if ((FLAGS & FLAG_Z) != 0u) { z[at] = v; }
  if ((FLAGS & FLAG_SLOPE) != 0u) { v *= activate_slope4(ACT, z[at]); } else { v = activate4(ACT, v); }
  if (!DROP_LATER) { v = drop(at, v); }
  if ((FLAGS & FLAG_ADD) != 0u) { v += c[at]; }
  c[at] = v;
}
// The bias of four columns, or zeros.
fn bias_at(col: u32) -> vec4f {
  var v = vec4f();
  if ((FLAGS & FLAG_BIAS) != 0u && col < p.n) { v = bias[col / 4u]; }
  return v;
}
// @use activate, keep, state, matmul_flags
