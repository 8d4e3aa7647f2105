import { packedAt } from '../packed.ts';
import type { Reference } from '../reference.ts';
import { formatOf } from './shared/packed.ts';

export const packedScoresReference: Reference = ({ a, words, scales, c }, { r, n, d, row, ldc, bits }) => {
  const format = formatOf(bits);
  const values = new Float64Array(d);
  for (let j = 0; j < n; j++) {
    for (let k = 0; k < d; k++) values[k] = packedAt(words, format, (row + j) * d + k);
    for (let i = 0; i < r; i++) {
      let sum = 0;
      for (let k = 0; k < d; k++) sum += a[i * d + k] * values[k];
      c[i * ldc + j] = sum * scales[row + j];
    }
  }
};
