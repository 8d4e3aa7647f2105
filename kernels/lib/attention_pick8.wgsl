// v[r], r a running value: selects keep the array in registers, where an index would move it to memory.
fn attention_pick8(v: array<vec4f, 8>, r: u32) -> vec4f {
  let a = select(v[0], v[1], (r & 1u) != 0u);
  let b = select(v[2], v[3], (r & 1u) != 0u);
  let c = select(v[4], v[5], (r & 1u) != 0u);
  let d = select(v[6], v[7], (r & 1u) != 0u);
  return select(select(a, b, (r & 2u) != 0u), select(c, d, (r & 2u) != 0u), (r & 4u) != 0u);
}
