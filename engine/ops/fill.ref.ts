import type { Reference } from '../reference.ts';

export const fillForward: Reference = ({ x }, { n, value }) => {
  for (let i = 0; i < n; i++) x[i] = value;
};
