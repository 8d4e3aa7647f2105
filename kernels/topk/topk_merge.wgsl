// topk_merge: the k best of two lists of each row, in the order of topk: score descending; among equal scores the row's
// target last, the others by item ascending. Missing entries (value −3e38) come last.
// Layout: values, more_values, out_values [R, k] f32; indices, more_indices, out_indices [R, k] u32; targets [R] (u32).
// A workgroup of 64 threads owns a row; a thread every 64th of the 2k candidates, whose place it finds by counting those
// before it. No workgroup memory.
struct Params { rows: u32, k: u32, has_targets: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> more_values: array<f32>;
@group(0) @binding(4) var<storage, read> more_indices: array<u32>;
@group(0) @binding(5) var<storage, read> targets: array<u32>;
@group(0) @binding(6) var<storage, read_write> out_values: array<f32>;
@group(0) @binding(7) var<storage, read_write> out_indices: array<u32>;

// Larger is better; the target's second word is 0.
fn key_of(value: f32, item: u32, target_item: u32) -> vec2u {
  return vec2u(sort_key(value), select(~item, 0u, item == target_item));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row = group_index(wid, grid);
  if (row >= p.rows) { return; }
  let start = row * p.k;
  var target_item = 0xffffffffu;
  if (p.has_targets == 1u) { target_item = targets[row]; }
  for (var i = lid; i < 2u * p.k; i += 64u) {
    var value: f32;
    var item: u32;
    if (i < p.k) {
      value = values[start + i];
      item = indices[start + i];
    } else {
      value = more_values[start + i - p.k];
      item = more_indices[start + i - p.k];
    }
    let key = key_of(value, item, target_item);
    // Each list is in order: those before this one are all of its own list up to it, and some of the other.
    var place = select(i, i - p.k, i >= p.k);
    for (var j = 0u; j < p.k; j++) {
      var other: vec2u;
      if (i < p.k) {
        other = key_of(more_values[start + j], more_indices[start + j], target_item);
      } else {
        other = key_of(values[start + j], indices[start + j], target_item);
      }
      // Equal keys are two missing entries: those of the first list count as before.
      let before = other.x > key.x || (other.x == key.x && (other.y > key.y || (other.y == key.y && i >= p.k)));
      if (!before) { break; }
      place++;
    }
    if (place < p.k) {
      out_values[start + place] = value;
      out_indices[start + place] = item;
    }
  }
}
// @use group_index, sort_key
