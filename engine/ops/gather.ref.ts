import type { Reference } from '../reference.ts';

export const gatherReference: Reference = ({ x, ids, y }, { n, rows, cols }) => {
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < cols; c++) y[i * cols + c] = ids[i] < rows ? x[ids[i] * cols + c] : 0;
  }
};
