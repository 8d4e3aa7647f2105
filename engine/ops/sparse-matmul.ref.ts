import type { Reference } from '../reference.ts';

export const sparseMatmulReference: Reference = ({ starts, columns, values, x, y }, { rows, n, d, entries, acc }) => {
  for (let i = 0; i < rows; i++) {
    const row = columns.subarray(starts[i], starts[i + 1]);
    const valid = starts[i] <= starts[i + 1] && starts[i + 1] <= entries && row.every((column) => column < n);
    for (let c = 0; c < d; c++) {
      let sum = valid ? 0 : Number.NaN;
      for (let e = starts[i]; e < starts[i + 1]; e++) sum += values[e] * x[columns[e] * d + c];
      y[i * d + c] = (acc ? y[i * d + c] : 0) + sum;
    }
  }
};
