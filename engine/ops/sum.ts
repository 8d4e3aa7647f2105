/** Sums over everything or over the last axis, always in the same order. */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { asMatrix, expectOneOf, expectRank, expectType } from './shared/check.ts';
import { sumLast } from './shared/sums.ts';
import { sumBackward } from './sum.ref.ts';

const BACKWARD = kernel('sum_bwd', (p) => groups(p.n, 1024));

/** Which elements are put together: all of them (a scalar comes out), or those of the last axis (which goes away). */
export type Over = 'all' | 'last';

/** Σ x, a scalar of shape []; or, over the last axis of x [..., n], a tensor [...]. */
export function sum(x: Tensor, over: Over = 'all'): Tensor {
  return scaledSum('sum', x, over, () => 1);
}

/** factor(n) · Σ of n elements each; what `sum` and `mean` share. */
export function scaledSum(name: string, x: Tensor, over: Over, factorOf: (n: number) => number): Tensor {
  const { device } = x;
  expectType(name, 'x', x);
  expectOneOf(name, 'over', over, ['all', 'last']);
  if (over === 'last') expectRank(name, 'x', x, 1);
  const { rows, cols } = over === 'all' ? { rows: 1, cols: x.size } : asMatrix(x);
  const factor = factorOf(cols);
  const y = device.empty(over === 'all' ? [] : x.shape.slice(0, -1), 'f32', name);
  sumLast(x, rows, cols, y, factor, 0);
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, sumBackward, { dy: gradOf(y), dx }, { n: x.size, cols, factor, acc });
  });
  return y;
}
