import type { Reference } from '../reference.ts';

export const bceForward: Reference = ({ logits, targets, weights, y }, { n }) => {
  for (let i = 0; i < n; i++) {
    const x = logits[i];
    y[i] = weights[i] * (Math.max(x, 0) - x * targets[i] + Math.log1p(Math.exp(-Math.abs(x))));
  }
};

export const bceBackward: Reference = ({ logits, targets, weights, dy, dx }, { n, acc }) => {
  for (let i = 0; i < n; i++) {
    dx[i] = (acc ? dx[i] : 0) + dy[0] * weights[i] * (1 / (1 + Math.exp(-logits[i])) - targets[i]);
  }
};
