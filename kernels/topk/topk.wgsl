// topk: the k best of each row of scores, best first. Order: score descending; among equal scores the row's target last,
// the others by index ascending. Masked scores (≤ −3e38) and NaN are never taken: what is missing is index 0xffffffff,
// value −3e38.
// The scores are those of the items first … first + V − 1; where LISTED those of the items in candidates (0xffffffff:
// none), the merge of parts.
// Layout: scores [R, V], candidates u32 [R, V], targets [R] (u32; any other number: none), values [R, parts, k] f32,
// indices [R, parts, k] u32.
// A workgroup owns a part of a row, p.width scores (all of it with one part). Every score has a unique 64-bit key: the score's (sort_key), then ~index (0 for the target).
// Digits of 8 bits, from the top: a histogram of those that share the prefix found so far tells the next digit of the
// k-th largest key, until a digit's whole bin is wanted. Then the k keys from there on are collected, and each finds its
// place by counting those above it. Workgroup memory 2.2 KiB. Counts only: the order of atomics does not matter.
// Host: k ≤ 128; buffers are padded to 16 bytes.
struct Params { rows: u32, v: u32, first: u32, k: u32, has_targets: u32, parts: u32, width: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<vec4f>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> candidates: array<u32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> indices: array<u32>;

const WG: u32 = 256; // @tune
const LISTED: bool = false; // @tune

var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> coarse: array<u32, 16>;
var<workgroup> choice: vec3u; // digit, still needed within its bin, 1: the bin is wanted whole
var<workgroup> found: atomic<u32>;
var<workgroup> keys: array<vec2u, 128>;

/// The key of the score at `pos` of the part that begins at `start`, whose first item is `offset`.
fn key_of(score: f32, pos: u32, start: u32, offset: u32, target_item: u32) -> vec2u {
  var item = offset + pos;
  if (LISTED) {
    let candidate = candidates[start + pos];
    if (candidate == 0xffffffffu) { return vec2u(sort_key(score), pos); } // masked: never taken, but unique
    item = candidate - p.first;
  }
  return vec2u(sort_key(score), select(~item, 0u, item == target_item));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let list = group_index(wid, grid);
  let row = list / p.parts;
  if (row >= p.rows) { return; }
  let offset = (list % p.parts) * p.width;
  let count = min(p.width, p.v - offset);
  let start = row * p.v + offset;
  let quads = vec2u(start / 4u, (start + count + 3u) / 4u);
  var target_item = 0xffffffffu;
  if (p.has_targets == 1u) { target_item = targets[row] - p.first; } // wraps around below first
  let take = min(p.k, count);
  var prefix = vec2u(0u); // score key, index key
  var mask = vec2u(0u);
  var need = take;
  for (var pass_number = 0u; pass_number < 8u; pass_number++) {
    for (var b = lid; b < 256u; b += WG) { atomicStore(&bins[b], 0u); }
    workgroupBarrier();
    let shift = 24u - 8u * (pass_number % 4u);
    for (var q = quads.x + lid; q < quads.y; q += WG) {
      let four = scores[q];
      for (var j = 0u; j < 4u; j++) {
        let pos = 4u * q + j - start;
        if (pos < count) {
          let key = key_of(four[j], pos, start, offset, target_item);
          if (all((key & mask) == prefix)) {
            atomicAdd(&bins[(select(key.y, key.x, pass_number < 4u) >> shift) & 255u], 1u);
          }
        }
      }
    }
    workgroupBarrier();
    if (lid < 16u) {
      var sum = 0u;
      for (var b = 0u; b < 16u; b++) { sum += atomicLoad(&bins[lid * 16u + b]); }
      coarse[lid] = sum;
    }
    workgroupBarrier();
    if (lid == 0u) {
      var left = need;
      var c = 15u;
      while (c > 0u && coarse[c] < left) {
        left -= coarse[c];
        c--;
      }
      var b = c * 16u + 15u;
      while (b > c * 16u && atomicLoad(&bins[b]) < left) {
        left -= atomicLoad(&bins[b]);
        b--;
      }
      choice = vec3u(b, left, select(0u, 1u, atomicLoad(&bins[b]) == left));
    }
    let chosen = workgroupUniformLoad(&choice);
    if (pass_number < 4u) {
      prefix.x |= chosen.x << shift;
      mask.x |= 255u << shift;
    } else {
      prefix.y |= chosen.x << shift;
      mask.y |= 255u << shift;
    }
    need = chosen.y;
    if (chosen.z == 1u) { break; }
  }
  if (lid == 0u) { atomicStore(&found, 0u); }
  workgroupBarrier();
  for (var q = quads.x + lid; q < quads.y; q += WG) {
    let four = scores[q];
    for (var j = 0u; j < 4u; j++) {
      let pos = 4u * q + j - start;
      if (pos < count) {
        let key = key_of(four[j], pos, start, offset, target_item);
        let top = key & mask;
        if (top.x > prefix.x || (top.x == prefix.x && top.y >= prefix.y)) {
          let at = atomicAdd(&found, 1u);
          if (at < 128u) { keys[at] = key; }
        }
      }
    }
  }
  workgroupBarrier();
  for (var i = lid; i < p.k; i += WG) {
    if (i < take) {
      let key = keys[i];
      var place = 0u;
      for (var other = 0u; other < take; other++) {
        let o = keys[other];
        if (o.x > key.x || (o.x == key.x && o.y > key.y)) { place++; }
      }
      let present = key.x > MASKED_KEY;
      values[list * p.k + place] = select(-3e38, key_score(key.x), present);
      indices[list * p.k + place] = select(0xffffffffu, select(~key.y, target_item, key.y == 0u) + p.first, present);
    } else {
      values[list * p.k + i] = -3e38;
      indices[list * p.k + i] = 0xffffffffu;
    }
  }
}
// @use group_index, sort_key
