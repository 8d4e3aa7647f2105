// Helpers of the attention kernels for subgroups of 8 lanes. Lane n ends with the reduction of value n over all lanes.
fn attention_max8(v: array<f32, 8>, lane: u32) -> f32 {
  let four = (lane & 4u) != 0u;
  let two = (lane & 2u) != 0u;
  let one = (lane & 1u) != 0u;
  let a = max(select(v[0], v[4], four), subgroupShuffleXor(select(v[4], v[0], four), 4u));
  let b = max(select(v[1], v[5], four), subgroupShuffleXor(select(v[5], v[1], four), 4u));
  let c = max(select(v[2], v[6], four), subgroupShuffleXor(select(v[6], v[2], four), 4u));
  let d = max(select(v[3], v[7], four), subgroupShuffleXor(select(v[7], v[3], four), 4u));
  let e = max(select(a, c, two), subgroupShuffleXor(select(c, a, two), 2u));
  let f = max(select(b, d, two), subgroupShuffleXor(select(d, b, two), 2u));
  return max(select(e, f, one), subgroupShuffleXor(select(f, e, one), 1u));
}
