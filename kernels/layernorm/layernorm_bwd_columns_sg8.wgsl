enable subgroups;
// layernorm_bwd_columns for subgroups of exactly 8 and D % 4 = 0: dweight = [dweight +] Σ over blocks of partial[block, 0],
// dbias = [dbias +] Σ of partial[block, 1].
// Layout: partial [blocks, 2, D], dweight, dbias [D]. A subgroup (a workgroup of 8) owns a vec4 of the 2·D columns, a lane
// every eighth block of it. No workgroup memory.
// Host: a gradient that its flag switches off is not touched.
struct Params { blocks: u32, d: u32, weight: u32, bias: u32, acc_weight: u32, acc_bias: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dweight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dbias: array<vec4f>;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lane: u32) {
  let width = p.d / 4u;
  let column = group_index(wid, grid);
  if (column >= 2u * width) { return; }
  var mine = vec4f();
  for (var b = lane; b < p.blocks; b += 8u) { mine += partial[b * 2u * width + column]; }
  var total = vec4f(sum8(mine.x), sum8(mine.y), sum8(mine.z), sum8(mine.w));
  if (lane != 0u) { return; }
  if (column < width) {
    if (p.weight == 1u) {
      if (p.acc_weight == 1u) { total += dweight[column]; }
      dweight[column] = total;
    }
  } else if (p.bias == 1u) {
    if (p.acc_bias == 1u) { total += dbias[column - width]; }
    dbias[column - width] = total;
  }
}
// @use group_index, lanes8
