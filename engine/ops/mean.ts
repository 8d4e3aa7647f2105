/** Means over everything or over the last axis. */
import { showShape, type Tensor } from '../tensor.ts';
import { type Over, scaledSum } from './sum.ts';

/** The mean of x, a scalar of shape []; or, over the last axis of x [..., n], a tensor [...]. */
export function mean(x: Tensor, over: Over = 'all'): Tensor {
  return scaledSum('mean', x, over, (n) => {
    if (n === 0) throw new Error(`mean: expected at least one element, got ${showShape(x.shape)}`);
    return 1 / n;
  });
}
