import { packedAt, type TableFormat } from '../packed.ts';
import type { Reference } from '../reference.ts';
import { formatOf } from './shared/packed.ts';

export const packedRowsReference: Reference = (
  { words, scales, ids, x },
  { rows, d, v, first, only, listed, from_row, bits },
) => {
  const format: TableFormat = formatOf(bits);
  for (let i = 0; i < rows; i++) {
    const id = (listed ? ids[i] : from_row + i) - first;
    const inside = id >= 0 && id < v;
    if (only && !inside) continue;
    for (let c = 0; c < d; c++) x[i * d + c] = inside ? scales[id] * packedAt(words, format, id * d + c) : 0;
  }
};
