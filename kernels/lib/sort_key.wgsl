// Scores as unsigned integers of the same order: −0 counts as 0, NaN (found by bits) is 0, below everything.
fn sort_key(score: f32) -> u32 {
  var bits = bitcast<u32>(score);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  if (bits == 0x80000000u) { bits = 0u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
// The same with NaN above everything.
fn top_key(x: f32) -> u32 { return select(sort_key(x), 0xffffffffu, is_nan(x)); }
// The score back from its key.
fn key_score(key: u32) -> f32 { return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u)); }
// The key of −3e38: what is not above it was masked.
const MASKED_KEY: u32 = 0x009e4e19u;
// @use nan
