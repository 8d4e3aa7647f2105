import type { Reference } from '../reference.ts';

export const sparseScoresReference: Reference = (
  { starts, columns, values, offsets, items, weights, out },
  { rows, v, first, row_first, row_count, longest, capacity, entries, start },
) => {
  for (let u = 0; u < rows; u++) {
    const sums = start ? new Float64Array(v) : Float64Array.from(out.subarray(u * v, (u + 1) * v));
    const [begin, end] = [offsets[u], offsets[u + 1]];
    let valid = begin <= end && end - begin <= longest && end <= capacity;
    for (let l = begin; valid && l < end; l++) {
      const r = items[l] - row_first;
      if (r < 0 || r >= row_count) continue;
      valid = starts[r] <= starts[r + 1] && starts[r + 1] <= entries;
      for (let i = starts[r]; valid && i < starts[r + 1]; i++) {
        const j = columns[i] - first;
        if (j >= 0 && j < v) sums[j] += weights[l] * values[i];
      }
    }
    out.set(valid ? sums : sums.fill(Number.NaN), u * v);
  }
};

export const rowMomentsReference: Reference = ({ scores, moments }, { rows, v, start }) => {
  for (let u = 0; u < rows; u++) {
    const at = moments.subarray(4 * u, 4 * u + 4);
    if (start) at.set([scores[u * v], 0, 0, 0]);
    let [sum, squares] = [at[2], at[3]];
    for (let i = u * v; i < (u + 1) * v; i++) {
      sum += scores[i] - at[0];
      squares += (scores[i] - at[0]) ** 2;
    }
    at.set([at[0], at[1] + v, sum, squares]);
  }
};

export const logBlendReference: Reference = ({ scores, more, moments, weights }, { rows, v, keep }) => {
  const [b, epsilon] = weights;
  for (let u = 0; u < rows; u++) {
    const [, n, sum, squares] = moments.subarray(4 * u, 4 * u + 4);
    const variance = squares / n - (sum / n) ** 2;
    const scale = variance > 1e-30 ? 1 / Math.sqrt(variance) : 1;
    for (let i = u * v; i < (u + 1) * v; i++) {
      const finite = Number.isFinite(variance) && (b === 0 || Number.isFinite(more[i]));
      const blended = scale * scores[i] + (b === 0 ? 0 : b * Math.log(Math.max(more[i], 0) + epsilon));
      scores[i] = finite ? (keep === 1 ? blended / scale : blended) : Number.NaN;
    }
  }
};
