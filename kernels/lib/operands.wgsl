// Four elements of an operand that repeats: a [na] and b [nb], seen as [n]. The kernel has them, and p.n, p.na, p.nb.
fn load_a(i: u32) -> vec4f {
  if (p.na == p.n) { return a[i]; }
  if (p.na == 1u) { return vec4f(a[0].x); }
  if (p.na % 4u == 0u) { return a[i % (p.na / 4u)]; }
  let e = (vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u)) % p.na;
  return vec4f(a[e.x / 4u][e.x % 4u], a[e.y / 4u][e.y % 4u], a[e.z / 4u][e.z % 4u], a[e.w / 4u][e.w % 4u]);
}
fn load_b(i: u32) -> vec4f {
  if (p.nb == p.n) { return b[i]; }
  if (p.nb == 1u) { return vec4f(b[0].x); }
  if (p.nb % 4u == 0u) { return b[i % (p.nb / 4u)]; }
  let e = (vec4u(4u * i) + vec4u(0u, 1u, 2u, 3u)) % p.nb;
  return vec4f(b[e.x / 4u][e.x % 4u], b[e.y / 4u][e.y % 4u], b[e.z / 4u][e.z % 4u], b[e.w / 4u][e.w % 4u]);
}
