import type { Reference } from '../reference.ts';

export const gatherReference: Reference = ({ x, ids, y }, { outer, n, rows, cols }) => {
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < n; i++) {
      const [to, from] = [(o * n + i) * cols, (o * rows + ids[i]) * cols];
      for (let c = 0; c < cols; c++) y[to + c] = ids[i] < rows ? x[from + c] : 0;
    }
  }
};

export const scatterReference: Reference = ({ x, ids, y }, { outer, n, rows, cols, acc }) => {
  if (!acc) y.fill(0, 0, outer * rows * cols);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < n; i++) {
      if (ids[i] >= rows) continue;
      const [from, to] = [(o * n + i) * cols, (o * rows + ids[i]) * cols];
      for (let c = 0; c < cols; c++) y[to + c] += x[from + c];
    }
  }
};
