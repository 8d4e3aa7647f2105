import type { Reference } from '../reference.ts';

export const softmaxForward: Reference = ({ x, y }, { rows, cols }) => {
  for (let r = 0; r < rows; r++) {
    let m = -Infinity;
    for (let c = 0; c < cols; c++) m = Math.max(m, x[r * cols + c]);
    let sum = 0;
    for (let c = 0; c < cols; c++) sum += Math.exp(x[r * cols + c] - m);
    for (let c = 0; c < cols; c++) y[r * cols + c] = Math.exp(x[r * cols + c] - m) / sum;
  }
};

export const softmaxBackward: Reference = ({ y, dy, dx }, { rows, cols, acc }) => {
  for (let r = 0; r < rows; r++) {
    let dot = 0;
    for (let c = 0; c < cols; c++) dot += dy[r * cols + c] * y[r * cols + c];
    for (let i = r * cols; i < (r + 1) * cols; i++) dx[i] = (acc ? dx[i] : 0) + y[i] * (dy[i] - dot);
  }
};
