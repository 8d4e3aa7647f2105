/** Threads that share a row of so many units (words, or vec4): the power of two that covers it, at most 64. */
export const lanes = (width: number): number => Math.min(64, 2 ** Math.ceil(Math.log2(Math.max(1, width))));
