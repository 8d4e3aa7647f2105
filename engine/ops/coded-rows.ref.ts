import { CODES } from '../packed.ts';
import type { Reference } from '../reference.ts';

/** Code m of row v, of the words that hold four each. */
export const codeAt = (words: ArrayLike<number>, i: number): number => (words[i >>> 2] >>> (8 * (i & 3))) & 255;

export const codedRowsReference: Reference = (
  { codes, parts, scales, ids, x },
  { rows, v, each, width, first, listed, scaled },
) => {
  for (let i = 0; i < rows; i++) {
    const id = (listed ? ids[i] : i) + first;
    for (let c = 0; c < 4 * width * each; c++) {
      const m = Math.floor(c / (4 * width));
      const inside = id >= 0 && id < v;
      const row = inside ? CODES * m + codeAt(codes, id * each + m) : 0;
      const value = inside ? parts[row * 4 * width + (c % (4 * width))] : 0;
      x[i * 4 * width * each + c] = inside && scaled ? value * scales[id] : value;
    }
  }
};
