// The tile of a workgroup as (column, row, batch), of across × down tiles a batch. FOLDED: one of the three would pass 65,535,
// so the grid is a plain count in two dimensions; its surplus groups get a batch beyond the last.
fn tile_index(group: vec3u, grid: vec3u, across: u32, down: u32) -> vec3u {
  if (!FOLDED) { return group; }
  let i = group_index(group, grid);
  return vec3u(i % across, i / across % down, i / (across * down));
}
// @use group_index
