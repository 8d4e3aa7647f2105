/** Products over everything or over any axes, by halves: each pass multiplies the first half of what is left by the second. */
import type { Tensor } from '../tensor.ts';
import { add, mul } from './binary.ts';
import { concat } from './concat.ts';
import { permute } from './permute.ts';
import { axesOf, countOver, lastOrder, type Over, reducedShape } from './shared/reduce.ts';
import { slice } from './slice.ts';
import { type ReduceOptions, sum } from './sum.ts';

/** Π x over everything, a scalar of shape [], or over the last axis or these axes; 1 of nothing. Zeros have the gradient that they should. */
export function prod(x: Tensor, over: Over = 'all', { keepdims = false }: ReduceOptions = {}): Tensor {
  const axes = axesOf('prod', x, over);
  let n = countOver(x.shape, axes);
  if (n === 0) return add(x.device.full([], 1, 'one'), sum(x, axes, { keepdims }));
  const order = lastOrder(x.rank, (axis) => axes.includes(axis));
  let y = permute(x, order).reshape([x.size / n, n]);
  while (n > 1) {
    const half = Math.floor(n / 2);
    const product = mul(slice(y, 1, 0, half), slice(y, 1, half, 2 * half));
    y = n % 2 === 1 ? concat([product, slice(y, 1, n - 1, n)], 1) : product;
    n -= half;
  }
  return y.reshape(reducedShape(x.shape, axes, keepdims));
}
