import type { Reference } from '../reference.ts';

/** What stands for an item that is not there. */
export const NONE = 0xffffffff;
/** The score of masked items, as f32 has it. */
export const MASKED = Math.fround(-3e38);

export const topkReference: Reference = (
  { scores, candidates, targets, values, indices },
  { rows, v, first, k, has_targets, parts, width, listed },
) => {
  for (let list = 0; list < rows * parts; list++) {
    const r = Math.floor(list / parts);
    const from = r * v + (list % parts) * width;
    const part = scores.subarray(from, Math.min(from + width, (r + 1) * v));
    const item = (i: number): number => (listed ? candidates[from + i] : (list % parts) * width + i + first);
    const last = (i: number): number => (has_targets && targets[r] === item(i) ? 1 : 0);
    const order = Array.from(part.keys())
      .filter((i) => part[i] > MASKED)
      .sort((a, b) => (part[a] === part[b] ? last(a) - last(b) || item(a) - item(b) : part[a] > part[b] ? -1 : 1));
    for (let j = 0; j < k; j++) {
      indices[list * k + j] = j < order.length ? item(order[j]) : NONE;
      values[list * k + j] = j < order.length ? part[order[j]] : MASKED;
    }
  }
};

export const rankOfReference: Reference = ({ scores, targets, ranks }, { rows, v }) => {
  for (let r = 0; r < rows; r++) {
    const row = scores.subarray(r * v, (r + 1) * v);
    const target = targets[r] < v ? row[targets[r]] : MASKED;
    let rank = 0;
    for (let i = 0; i < v; i++) if (row[i] >= target) rank++;
    if (target <= MASKED) rank = NONE;
    if (!row.every(Number.isFinite)) rank = 0;
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
