// Accumulators of a subgroup of 8 lanes in which a lane owns two vec4 of columns; x of a row is shared by broadcast.
alias Eight = array<vec4f, 16>; // 8 rows: their first 4 columns, then their second 4

// Adds two steps of k to 8 rows; lane r holds those of row r.
fn add_rows(c: ptr<function, Eight>, u: vec2f, b: array<vec4f, 4>) {
  var x: vec2f;
  x = subgroupBroadcast(u, 0u);
  (*c)[0] += x.x * b[0] + x.y * b[1];
  (*c)[8] += x.x * b[2] + x.y * b[3];
  x = subgroupBroadcast(u, 1u);
  (*c)[1] += x.x * b[0] + x.y * b[1];
  (*c)[9] += x.x * b[2] + x.y * b[3];
  x = subgroupBroadcast(u, 2u);
  (*c)[2] += x.x * b[0] + x.y * b[1];
  (*c)[10] += x.x * b[2] + x.y * b[3];
  x = subgroupBroadcast(u, 3u);
  (*c)[3] += x.x * b[0] + x.y * b[1];
  (*c)[11] += x.x * b[2] + x.y * b[3];
  x = subgroupBroadcast(u, 4u);
  (*c)[4] += x.x * b[0] + x.y * b[1];
  (*c)[12] += x.x * b[2] + x.y * b[3];
  x = subgroupBroadcast(u, 5u);
  (*c)[5] += x.x * b[0] + x.y * b[1];
  (*c)[13] += x.x * b[2] + x.y * b[3];
  x = subgroupBroadcast(u, 6u);
  (*c)[6] += x.x * b[0] + x.y * b[1];
  (*c)[14] += x.x * b[2] + x.y * b[3];
  x = subgroupBroadcast(u, 7u);
  (*c)[7] += x.x * b[0] + x.y * b[1];
  (*c)[15] += x.x * b[2] + x.y * b[3];
}
