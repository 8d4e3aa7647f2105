// The digits of a flat index in a shape of up to six axes, outermost first, and where an operand has that element. The
// kernel has: const RANK, how many of the axes are in use (the last ones), and their lengths p.d1 … p.d5 (d0 is not read).
struct Digits { i0: u32, i1: u32, i2: u32, i3: u32, i4: u32, i5: u32 }
fn digits_of(i: u32) -> Digits {
  var x: Digits;
  var rest = i;
  if (RANK > 1u) { x.i5 = rest % p.d5; rest /= p.d5; } else { x.i5 = rest; }
  if (RANK > 2u) { x.i4 = rest % p.d4; rest /= p.d4; } else { x.i4 = select(0u, rest, RANK == 2u); }
  if (RANK > 3u) { x.i3 = rest % p.d3; rest /= p.d3; } else { x.i3 = select(0u, rest, RANK == 3u); }
  if (RANK > 4u) { x.i2 = rest % p.d2; rest /= p.d2; } else { x.i2 = select(0u, rest, RANK == 4u); }
  if (RANK > 5u) { x.i1 = rest % p.d1; x.i0 = rest / p.d1; } else { x.i1 = select(0u, rest, RANK == 5u); }
  return x;
}
fn offset_of(x: Digits, s0: u32, s1: u32, s2: u32, s3: u32, s4: u32, s5: u32) -> u32 {
  return x.i0 * s0 + x.i1 * s1 + x.i2 * s2 + x.i3 * s3 + x.i4 * s4 + x.i5 * s5;
}
