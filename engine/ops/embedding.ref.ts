import type { Reference } from '../reference.ts';
import { keepOf } from '../random/keep.ts';
import { NO_SLOT } from '../rows.ts';

export const embeddingForward: Reference = (
  { table, ids, second, ids2, x, state },
  { rows, d, v, first, only, two, v2, dropout, op, threshold, scale },
) => {
  const factor = keepOf(dropout ? state : null, op, threshold, scale);
  for (let i = 0; i < rows; i++) {
    const row = ids[i] - first;
    const inside = row >= 0 && row < v;
    if (only && !inside) continue;
    for (let c = 0; c < d; c++) {
      const a = inside ? table[row * d + c] : 0;
      const b = two && ids2[i] < v2 ? second[ids2[i] * d + c] : 0;
      x[i * d + c] = (a + b) * factor(i * d + c);
    }
  }
};

export const embeddingBackward: Reference = (
  { groups, ids, dx, partial, dtable, state },
  { rows, d, v, first, segments, positions, dropout, op, threshold, scale },
) => {
  const factor = keepOf(dropout ? state : null, op, threshold, scale);
  for (let s = 0; s < groups[0]; s++) {
    const [id, begin, end, slot] = groups.subarray(segments + 4 * s, segments + 4 * s + 4);
    const row = id - first;
    if (row < 0 || row >= v) continue;
    let foreign = false;
    for (let j = begin; j < end; j++) {
      const i = groups[positions + j];
      if (i >= rows || ids[i] !== id) foreign = true;
    }
    for (let c = 0; c < d; c++) {
      let sum = foreign ? Number.NaN : 0;
      for (let j = begin; j < end; j++) {
        const e = groups[positions + j] * d + c;
        sum += dx[e] * factor(e);
      }
      if (slot === NO_SLOT) dtable[row * d + c] += sum;
      else partial[slot * d + c] = sum;
    }
  }
};

export const embeddingBackwardScan: Reference = (
  { ids, dx, dtable, state },
  { rows, d, v, first, dropout, op, threshold, scale },
) => {
  const factor = keepOf(dropout ? state : null, op, threshold, scale);
  for (let i = 0; i < rows; i++) {
    const row = ids[i] - first;
    if (row < 0 || row >= v) continue;
    for (let c = 0; c < d; c++) dtable[row * d + c] += dx[i * d + c] * factor(i * d + c);
  }
};

export const embeddingBackwardSplit: Reference = ({ groups, partial, dtable }, { d, v, first, splits }) => {
  for (let s = 0; s < groups[1]; s++) {
    const [id, begin, end] = groups.subarray(splits + 4 * s, splits + 4 * s + 3);
    const row = id - first;
    if (row < 0 || row >= v) continue;
    for (let c = 0; c < d; c++) {
      let sum = 0;
      for (let j = begin; j < end; j++) sum += partial[j * d + c];
      dtable[row * d + c] += sum;
    }
  }
};
