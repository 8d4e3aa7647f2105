// The number of a workgroup in a grid that may have been folded into two dimensions (more than 65,535 groups).
fn group_index(wid: vec3u, grid: vec3u) -> u32 {
  return wid.x + wid.y * grid.x;
}
