import type { Reference } from '../reference.ts';
import { inverseSqrt } from './shared/inverse-sqrt.ts';

export const normalizeForward: Reference = ({ x, r: inverse, y }, { r, d }) => {
  for (let i = 0; i < r; i++) {
    let sum = 0;
    for (let k = i * d; k < (i + 1) * d; k++) sum += x[k] * x[k];
    inverse[i] = inverseSqrt(sum + 1e-12, sum);
    for (let k = i * d; k < (i + 1) * d; k++) y[k] = x[k] * inverse[i];
  }
};

export const normalizeBackward: Reference = ({ y, r: inverse, dy, dx }, { r, d, acc }) => {
  for (let i = 0; i < r; i++) {
    let sum = 0;
    for (let k = i * d; k < (i + 1) * d; k++) sum += y[k] * dy[k];
    for (let k = i * d; k < (i + 1) * d; k++) dx[k] = (acc ? dx[k] : 0) + inverse[i] * (dy[k] - y[k] * sum);
  }
};
