// The sum and the largest over a subgroup of exactly 8 lanes, the same bits in all of them, in uniform control flow.
// Exchanges with a constant mask are one instruction on lavapipe, where subgroupAdd loops over the lanes.
fn sum8(v: f32) -> f32 {
  let two = v + subgroupShuffleXor(v, 1u);
  let four = two + subgroupShuffleXor(two, 2u);
  return four + subgroupShuffleXor(four, 4u);
}
fn max8(v: f32) -> f32 {
  let two = max(v, subgroupShuffleXor(v, 1u));
  let four = max(two, subgroupShuffleXor(two, 2u));
  return max(four, subgroupShuffleXor(four, 4u));
}
