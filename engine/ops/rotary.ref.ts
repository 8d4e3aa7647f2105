import type { Reference } from '../reference.ts';

export const rotaryReference: Reference = ({ x, positions, angles, y }, { n, heads, k, parts, rotated, sign, acc }) => {
  const d = heads * k;
  for (let i = 0; i < 4 * n; i++) {
    const column = i % (parts * d);
    let v = x[i];
    if (column < rotated * d) {
      const at = positions[Math.floor(i / (parts * d))] * k + ((column % k) & ~1);
      const [cos, sin] = [angles[at], sign * angles[at + 1]];
      v = column % 2 === 0 ? x[i] * cos - x[i + 1] * sin : x[i - 1] * sin + x[i] * cos;
    }
    y[i] = (acc ? y[i] : 0) + v;
  }
};
