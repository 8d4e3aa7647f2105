/** Slopes of aᵇ: 0 along a where b is 0, 0 along b where a is 0. */
export const powerSlopes: [(a: number, b: number, d: number) => number, (a: number, b: number, d: number) => number] = [
  (a, b, d) => (b === 0 ? 0 * d : d * b * a ** (b - 1)),
  (a, b, d) => (a === 0 ? 0 * d : d * a ** b * Math.log(a)),
];
