/**
 * Sums in a fixed order: along rows, of everything, and over leading rows. Long ones take two passes, the first over
 * chunks whose size follows from the shape alone, so that the same shape always adds in the same order.
 */
import type { Reference } from '../../reference.ts';
import { elementVariants, groups, kernel, lanes8, subgroupVariants } from '../../kernel.ts';
import type { Tensor } from '../../tensor.ts';

const LAST = kernel(
  'sum_last',
  [
    {
      file: 'sum_last_sub8',
      requires: lanes8,
      accepts: (p) => p.rows === 1 || p.cols % 4 === 0,
      grid: (p) => groups(p.rows * p.chunks, 8),
    },
    ...subgroupVariants(
      'sum_last_sub',
      (p) => p.rows * p.chunks,
      (p) => p.chunk,
    ),
    { file: 'sum_last', grid: (p) => p.rows * p.chunks },
  ],
  { sizes: ['rows', 'chunk', 'chunks'] },
);
const LEADING = kernel(
  'sum_leading',
  elementVariants('sum_leading', 'f32', ['cols'], (size) => ({ grid: (p) => groups(p.cols / size, 64) * p.chunks })),
);

/** y[r, s] = [y +] factor · Σ of chunk s of row r. */
export const sumLastReference: Reference = ({ x, y }, { rows, cols, chunk, chunks, factor, acc }) => {
  for (let r = 0; r < rows; r++) {
    for (let s = 0; s < chunks; s++) {
      let sum = 0;
      for (let c = s * chunk; c < Math.min(cols, (s + 1) * chunk); c++) sum += x[r * cols + c];
      y[r * chunks + s] = (acc ? y[r * chunks + s] : 0) + factor * sum;
    }
  }
};

/** y[s, c] = [y +] factor · Σ of chunk s of column c. */
export const sumLeadingReference: Reference = ({ x, y }, { rows, cols, chunk, chunks, factor, acc }) => {
  for (let s = 0; s < chunks; s++) {
    for (let c = 0; c < cols; c++) {
      let sum = 0;
      for (let r = s * chunk; r < Math.min(rows, (s + 1) * chunk); r++) sum += x[r * cols + c];
      y[s * cols + c] = (acc ? y[s * cols + c] : 0) + factor * sum;
    }
  }
};

/** Elements of a row that one group adds up in one pass; a multiple of 4. */
const ROW_CHUNK = 4096;

/** y[r] = [y +] factor · Σ_c x[r, c] for x [rows, cols]. */
export function sumLast(x: Tensor, rows: number, cols: number, y: Tensor, factor: number, acc: number): void {
  const { device } = x;
  const chunks = Math.ceil(cols / ROW_CHUNK);
  if (chunks <= 2) {
    device.run(LAST, sumLastReference, { x, y }, { rows, cols, chunk: Math.max(1, cols), chunks: 1, factor, acc });
    return;
  }
  const part = device.empty([rows, chunks], 'f32', 'partial sums');
  device.run(LAST, sumLastReference, { x, y: part }, { rows, cols, chunk: ROW_CHUNK, chunks, factor: 1, acc: 0 });
  device.run(LAST, sumLastReference, { x: part, y }, { rows, cols: chunks, chunk: chunks, chunks: 1, factor, acc });
}

/** y[0] = [y +] factor · Σ x. */
export function sumAll(x: Tensor, y: Tensor, factor: number, acc: number): void {
  sumLast(x, 1, x.size, y, factor, acc);
}

/** y[c] = [y +] factor · Σ_r x[r, c] for x [rows, cols]. */
export function sumLeading(x: Tensor, rows: number, cols: number, y: Tensor, factor: number, acc: number): void {
  const { device } = x;
  if (rows <= 64) {
    device.run(
      LEADING,
      sumLeadingReference,
      { x, y },
      { rows, cols, chunk: Math.max(1, rows), chunks: 1, factor, acc },
    );
    return;
  }
  const chunk = Math.ceil(Math.sqrt(rows));
  const chunks = Math.ceil(rows / chunk);
  const part = device.empty([chunks, cols], 'f32', 'partial sums');
  device.run(LEADING, sumLeadingReference, { x, y: part }, { rows, cols, chunk, chunks, factor: 1, acc: 0 });
  device.run(
    LEADING,
    sumLeadingReference,
    { x: part, y },
    { rows: chunks, cols, chunk: chunks, chunks: 1, factor, acc },
  );
}
