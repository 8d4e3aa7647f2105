import type { Reference } from '../reference.ts';

/**
 * y[r, s] = the largest of chunk s of row r, at[r, s] its column, the first of equals; NaN is the largest. Where `second` is 1 the columns
 * of x are themselves chunks, and `within` says which column each one's largest stood in.
 */
export const maxForward: Reference = ({ x, within, y, at }, { rows, cols, chunk, chunks, second }) => {
  for (let r = 0; r < rows; r++) {
    for (let s = 0; s < chunks; s++) {
      let best = s * chunk;
      for (let c = best + 1; c < Math.min(cols, (s + 1) * chunk); c++) {
        const [v, top] = [x[r * cols + c], x[r * cols + best]];
        if (v > top || (Number.isNaN(v) && !Number.isNaN(top))) best = c;
      }
      y[r * chunks + s] = x[r * cols + best];
      at[r * chunks + s] = second ? within[r * cols + best] : best;
    }
  }
};

/** dx[r, c] = [dx +] dy[r] where c is the column of the largest, else 0. */
export const maxBackward: Reference = ({ at, dy, dx }, { n, cols, acc }) => {
  for (let i = 0; i < n; i++) {
    const r = Math.floor(i / cols);
    dx[i] = (acc ? dx[i] : 0) + (at[r] === i % cols ? dy[r] : 0);
  }
};
