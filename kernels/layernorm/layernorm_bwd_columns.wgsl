// layernorm_bwd_columns: dweight = [dweight +] Σ over blocks of partial[block, 0], dbias = [dbias +] Σ of partial[block, 1].
// Layout: partial [blocks, 2, D], dweight, dbias [D]. A workgroup owns 32 of the 2·D columns, 8 threads a column, each
// every eighth block; their sums are added in order. Workgroup memory 1 KiB.
// Host: a gradient that its flag switches off is not touched.
struct Params { blocks: u32, d: u32, weight: u32, bias: u32, acc_weight: u32, acc_bias: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(3) var<storage, read_write> dbias: array<f32>;

var<workgroup> part: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let column = group_index(wid, grid) * 32u + lid % 32u;
  let inside = column < 2u * p.d;
  var total = 0.0;
  if (inside) {
    for (var b = lid / 32u; b < p.blocks; b += 8u) { total += partial[b * 2u * p.d + column]; }
  }
  part[lid] = total;
  workgroupBarrier();
  if (lid >= 32u || !inside) { return; }
  for (var i = 1u; i < 8u; i++) { total += part[i * 32u + lid]; }
  if (column < p.d) {
    if (p.weight == 1u) {
      if (p.acc_weight == 1u) { total += dweight[column]; }
      dweight[column] = total;
    }
  } else if (p.bias == 1u) {
    if (p.acc_bias == 1u) { total += dbias[column - p.d]; }
    dbias[column - p.d] = total;
  }
}
// @use group_index
