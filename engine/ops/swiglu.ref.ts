import type { Reference } from '../reference.ts';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const swigluForward: Reference = ({ x, y }, { n, f }) => {
  for (let i = 0; i < 4 * n; i++) {
    const at = i + Math.floor(i / f) * f;
    y[i] = x[at] * sigmoid(x[at]) * x[at + f];
  }
};

export const swigluBackward: Reference = ({ x, dy, dx }, { n, f, acc }) => {
  for (let i = 0; i < 4 * n; i++) {
    const at = i + Math.floor(i / f) * f;
    const [gate, up] = [x[at], x[at + f]];
    const slope = sigmoid(gate) * (1 + gate * sigmoid(-gate));
    dx[at] = (acc ? dx[at] : 0) + dy[i] * up * slope;
    dx[at + f] = (acc ? dx[at + f] : 0) + dy[i] * gate * sigmoid(gate);
  }
};
