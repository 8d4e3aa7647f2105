import type { Reference } from '../reference.ts';

/** y[b, j, i] = [that +] x[b, i, j]. */
export const transposeReference: Reference = ({ x, y }, { batch, rows, cols, acc }) => {
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < cols; j++) {
        const to = (b * cols + j) * rows + i;
        y[to] = (acc ? y[to] : 0) + x[(b * rows + i) * cols + j];
      }
    }
  }
};
