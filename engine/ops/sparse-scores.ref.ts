import type { Reference } from '../device.ts';

export const sparseScoresReference: Reference = (
  { starts, columns, values, offsets, items, weights, out },
  { rows, v, first, row_first, row_count, start },
) => {
  for (let u = 0; u < rows; u++) {
    const sums = start ? new Float64Array(v) : Float64Array.from(out.subarray(u * v, (u + 1) * v));
    for (let l = offsets[u]; l < offsets[u + 1]; l++) {
      const r = items[l] - row_first;
      if (r < 0 || r >= row_count) continue;
      for (let i = starts[r]; i < starts[r + 1]; i++) {
        const j = columns[i] - first;
        if (j >= 0 && j < v) sums[j] += weights[l] * values[i];
      }
    }
    out.set(sums, u * v);
  }
};

export const logBlendReference: Reference = ({ scores, more, weights }, { rows, v }) => {
  for (let u = 0; u < rows; u++) {
    const [a, b, epsilon] = weights.subarray(4 * u, 4 * u + 3);
    for (let i = u * v; i < (u + 1) * v; i++) scores[i] = a * scores[i] + b * Math.log(Math.max(more[i], 0) + epsilon);
  }
};
