import type { Reference } from '../device.ts';

export const sparseMatmulReference: Reference = ({ starts, columns, values, x, y }, { rows, d, acc }) => {
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < d; c++) {
      let sum = 0;
      for (let e = starts[i]; e < starts[i + 1]; e++) sum += values[e] * x[columns[e] * d + c];
      y[i * d + c] = (acc ? y[i * d + c] : 0) + sum;
    }
  }
};
