import type { Reference } from '../reference.ts';

export { sumLastReference } from './shared/sums.ts';

/** The gradient of a sum along rows: dx[r, c] = [dx +] factor · dy[r]. */
export const sumBackward: Reference = ({ dy, dx }, { n, cols, factor, acc }) => {
  for (let i = 0; i < n; i++) dx[i] = (acc ? dx[i] : 0) + factor * dy[Math.floor(i / cols)];
};
