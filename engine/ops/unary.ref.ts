/** Functions of one number that the table in unary.ts and other references share, in double precision. */

export const sigmoidOf = (x: number): number => 1 / (1 + Math.exp(-x));

/** 0 at 0, and NaN stays NaN. */
export const reluSlope = (x: number): number => (x > 0 ? 1 : Number.isNaN(x) ? x : 0);

/** √(2/π). */
const C = Math.sqrt(2 / Math.PI);

export const geluOf = (x: number): number => 0.5 * x * (1 + Math.tanh(C * (x + 0.044715 * x ** 3)));

export const geluSlope = (x: number): number => {
  const t = Math.tanh(C * (x + 0.044715 * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * C * (1 + 3 * 0.044715 * x * x);
};

/** erf(x) = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!, whose terms are all of one sign (Abramowitz & Stegun 1964, 7.1.6). */
export function erfOf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The standard normal distribution function, Φ. */
export const normalOf = (x: number): number => 0.5 * (1 + erfOf(x / Math.SQRT2));

/** The standard normal density, φ. */
export const densityOf = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

/** To the nearest integer, halves to the even one. */
export function roundOf(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}
