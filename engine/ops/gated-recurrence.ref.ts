import type { Reference } from '../reference.ts';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const gatedRecurrenceForward: Reference = ({ x, start, y }, { l, d4 }) => {
  const d = 4 * d4;
  for (let c = 0; c < d; c++) {
    for (let t = 0; t < l; t++) {
      const a = sigmoid(x[2 * t * d + c]);
      const before = start[t] < t ? y[(t - 1) * d + c] : 0;
      y[t * d + c] = a * before + (1 - a) * x[(2 * t + 1) * d + c];
    }
  }
};

export const gatedRecurrenceBackward: Reference = ({ x, start, y, dy, dx }, { l, d4, acc }) => {
  const d = 4 * d4;
  for (let c = 0; c < d; c++) {
    let later = 0;
    for (let t = l - 1; t >= 0; t--) {
      const [f, v] = [2 * t * d + c, (2 * t + 1) * d + c];
      const a = sigmoid(x[f]);
      const before = start[t] < t ? y[(t - 1) * d + c] : 0;
      const g = dy[t * d + c] + later;
      dx[f] = (acc ? dx[f] : 0) + a * (1 - a) * (before - x[v]) * g;
      dx[v] = (acc ? dx[v] : 0) + (1 - a) * g;
      later = start[t] < t ? a * g : 0;
    }
  }
};
