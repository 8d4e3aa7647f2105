import { packedAt } from '../packed.ts';
import type { Reference } from '../reference.ts';
import { inverseSqrt } from './shared/inverse-sqrt.ts';
import { formatOf } from './shared/packed.ts';

export const packedNormsReference: Reference = ({ words, scales, y }, { v, d, bits }) => {
  const format = formatOf(bits);
  for (let i = 0; i < v; i++) {
    let sum = 0;
    for (let k = i * d; k < (i + 1) * d; k++) sum += (scales[i] * packedAt(words, format, k)) ** 2;
    y[i] = scales[i] * inverseSqrt(sum + 1e-12, sum);
  }
};
