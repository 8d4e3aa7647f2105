import type { Reference } from '../reference.ts';
import { MASKED, NONE } from './topk.ref.ts';

export const rankTargetReference: Reference = ({ scores, targets, target_scores }, { rows, v, first, start }) => {
  for (let r = 0; r < rows; r++) {
    const at = targets[r] - first;
    if (at >= 0 && at < v) target_scores[r] = scores[r * v + at];
    else if (start) target_scores[r] = MASKED;
  }
};

export const rankCountReference: Reference = ({ scores, target_scores, counts, ranks }, { rows, v, start, finish }) => {
  for (let r = 0; r < rows; r++) {
    if (start) counts.fill(0, 2 * r, 2 * r + 2);
    for (const s of scores.subarray(r * v, (r + 1) * v)) {
      if (!Number.isFinite(s)) counts[2 * r + 1]++;
      else if (s >= target_scores[r]) counts[2 * r]++;
    }
    if (finish) ranks[r] = counts[2 * r + 1] > 0 ? 0 : target_scores[r] <= MASKED ? NONE : counts[2 * r];
  }
};

export const topkMergeReference: Reference = (
  { values, indices, more_values, more_indices, targets, out_values, out_indices },
  { rows, k, has_targets },
) => {
  for (let r = 0; r < rows; r++) {
    const all: { value: number; item: number; last: number }[] = [];
    for (const [v, i] of [
      [values, indices],
      [more_values, more_indices],
    ]) {
      for (let j = r * k; j < (r + 1) * k; j++)
        all.push({ value: v[j], item: i[j], last: has_targets && i[j] === targets[r] ? 1 : 0 });
    }
    const before = (a: (typeof all)[0], b: (typeof all)[0]): number =>
      a.value === b.value ? a.last - b.last || a.item - b.item : a.value > b.value ? -1 : 1;
    all
      .sort(before)
      .slice(0, k)
      .forEach(({ value, item }, j) => {
        out_values[r * k + j] = value;
        out_indices[r * k + j] = item;
      });
  }
};
