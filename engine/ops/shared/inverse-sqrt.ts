/**
 * 1/√x of a mean x of squares, NaN unless f32 holds their `sum`: on devices that add in f32 it is infinite there, and a row
 * divided by it would be zeros. The same on every device (kernels/lib/inverse_sqrt.wgsl).
 */
export const inverseSqrt = (x: number, sum: number): number =>
  Number.isFinite(Math.fround(sum)) ? 1 / Math.sqrt(x) : Number.NaN;
