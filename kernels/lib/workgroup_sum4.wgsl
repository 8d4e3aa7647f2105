// Four sums at once over a workgroup of WG threads (a constant of the kernel), the same for all threads, for subgroups of
// any width and any order of threads in them; see workgroup_reduce. 16·WG bytes of workgroup memory.
var<workgroup> sum4_places: array<vec4f, WG>;
fn workgroup_sum4(lid: u32, v: vec4f) -> vec4f {
  let total = subgroupAdd(v);
  let first = subgroupMin(lid) == lid;
  let count = subgroupAdd(1u);
  let rank = subgroupExclusiveAdd(1u);
  workgroupBarrier(); // the slots may still be read
  sum4_places[lid] = select(vec4f(), total, first);
  workgroupBarrier();
  var sum = vec4f();
  for (var i = rank; i < WG; i += count) { sum += sum4_places[i]; }
  return subgroupAdd(sum);
}
