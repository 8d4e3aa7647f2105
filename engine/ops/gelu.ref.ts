import type { Reference } from '../reference.ts';

const C = Math.sqrt(2 / Math.PI);

export const geluOf = (x: number): number => 0.5 * x * (1 + Math.tanh(C * (x + 0.044715 * x ** 3)));

export const geluSlope = (x: number): number => {
  const t = Math.tanh(C * (x + 0.044715 * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * C * (1 + 3 * 0.044715 * x * x);
};

export const geluForward: Reference = ({ x, y }, { n }) => {
  for (let i = 0; i < n; i++) y[i] = geluOf(x[i]);
};

export const geluBackward: Reference = ({ x, dy, dx }, { n, acc }) => {
  for (let i = 0; i < n; i++) dx[i] = (acc ? dx[i] : 0) + dy[i] * geluSlope(x[i]);
};
