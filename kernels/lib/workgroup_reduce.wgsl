// The sum and the largest over a workgroup of WG threads (a constant of the kernel), the same for all threads, for
// subgroups of any width and any order of threads in them: the first thread of a subgroup leaves its result at its own
// slot, and every subgroup goes over all WG slots. Uniform control flow only; 4·WG bytes of workgroup memory.
var<workgroup> reduce_places: array<f32, WG>;
fn workgroup_sum(lid: u32, v: f32) -> f32 {
  let total = subgroupAdd(v);
  let first = subgroupMin(lid) == lid;
  let count = subgroupAdd(1u);
  let rank = subgroupExclusiveAdd(1u);
  workgroupBarrier(); // the slots may still be read
  reduce_places[lid] = select(0.0, total, first);
  workgroupBarrier();
  var sum = 0.0;
  for (var i = rank; i < WG; i += count) { sum += reduce_places[i]; }
  return subgroupAdd(sum);
}
fn workgroup_max(lid: u32, v: f32) -> f32 {
  let largest = subgroupMax(v);
  let first = subgroupMin(lid) == lid;
  let count = subgroupAdd(1u);
  let rank = subgroupExclusiveAdd(1u);
  workgroupBarrier();
  reduce_places[lid] = select(-3e38, largest, first);
  workgroupBarrier();
  var m = -3e38;
  for (var i = rank; i < WG; i += count) { m = max(m, reduce_places[i]); }
  return subgroupMax(m);
}
