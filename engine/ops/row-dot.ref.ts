import type { Reference } from '../reference.ts';

export const rowDotForward: Reference = ({ a, b, y }, { r, d }) => {
  for (let i = 0; i < r; i++) {
    let sum = 0;
    for (let k = i * d; k < (i + 1) * d; k++) sum += a[k] * b[k];
    y[i] = sum;
  }
};

/** y[i, :] = [y +] s[i] · x[i, :]: the gradient of one operand from the other. */
export const rowDotBackward: Reference = ({ x, s, y }, { r, d, acc }) => {
  for (let i = 0; i < r; i++) {
    for (let k = i * d; k < (i + 1) * d; k++) y[k] = (acc ? y[k] : 0) + s[i] * x[k];
  }
};
