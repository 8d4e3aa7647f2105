import type { Reference } from '../device.ts';

/** What stands for an item that is not there. */
export const NONE = 0xffffffff;
/** The score of masked items, as f32 has it. */
export const MASKED = Math.fround(-3e38);

export const topkReference: Reference = ({ scores, targets, values, indices }, { rows, v, first, k, has_targets }) => {
  for (let r = 0; r < rows; r++) {
    const row = scores.subarray(r * v, (r + 1) * v);
    const last = (i: number): number => (has_targets && targets[r] === i + first ? 1 : 0);
    const order = Array.from(row.keys())
      .filter((i) => row[i] > MASKED)
      .sort((a, b) => (row[a] === row[b] ? last(a) - last(b) || a - b : row[a] > row[b] ? -1 : 1));
    for (let j = 0; j < k; j++) {
      indices[r * k + j] = j < order.length ? order[j] + first : NONE;
      values[r * k + j] = j < order.length ? row[order[j]] : MASKED;
    }
  }
};

export const rankOfReference: Reference = ({ scores, targets, ranks }, { rows, v }) => {
  for (let r = 0; r < rows; r++) {
    const row = scores.subarray(r * v, (r + 1) * v);
    const goal = targets[r] < v ? row[targets[r]] : MASKED;
    let rank = 0;
    for (let i = 0; i < v; i++) if (row[i] >= goal) rank++;
    if (goal <= MASKED) rank = NONE;
    if (row.some((s: number) => Number.isNaN(s))) rank = 0;
    ranks[r] = rank;
  }
};

export const maskSeenReference: Reference = ({ scores, offsets, items }, { rows, v, first, capacity }) => {
  for (let r = 0; r < rows; r++) {
    for (let j = offsets[r]; j < Math.min(offsets[r + 1], capacity); j++) {
      const at = items[j] - first;
      if (at >= 0 && at < v) scores[r * v + at] = MASKED;
    }
  }
};
