/** The last two axes exchanged, as a copy. (matmul takes a flag instead and needs no copy.) */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel, software } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { expectRank, expectType } from './shared/check.ts';
import { transposeReference } from './transpose.ref.ts';

const TRANSPOSE = kernel('transpose', [
  {
    file: 'transpose_block4',
    requires: software,
    accepts: (p) => p.rows % 4 === 0 && p.cols % 4 === 0,
    grid: (p) => groups((p.batch * p.rows * p.cols) / 16, 64),
  },
  { file: 'transpose', grid: (p) => p.batch * groups(p.rows, 16) * groups(p.cols, 16) },
]);

/** y [n, m] ← x [m, n], without a gradient. */
export function transposeInto(x: Tensor, y: Tensor, rows: number, cols: number): void {
  x.device.run(TRANSPOSE, transposeReference, { x, y }, { batch: 1, rows, cols, acc: 0 });
}

/** x [..., m, n] → [..., n, m]. */
export function transpose(x: Tensor): Tensor {
  const { device } = x;
  expectType('transpose', 'x', x);
  expectRank('transpose', 'x', x, 2);
  const head = x.shape.slice(0, -2);
  const [rows, cols] = x.shape.slice(-2);
  const batch = head.reduce((a, b) => a * b, 1);
  const y = device.empty([...head, cols, rows], 'f32', 'transpose');
  device.run(TRANSPOSE, transposeReference, { x, y }, { batch, rows, cols, acc: 0 });
  device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    device.run(TRANSPOSE, transposeReference, { x: gradOf(y), y: grad }, { batch, rows: cols, cols: rows, acc });
  });
  return y;
}
