/** Means over everything or over any axes. */
import { showShape, type Tensor } from '../tensor.ts';
import type { Over } from './shared/reduce.ts';
import { type ReduceOptions, scaledSum } from './sum.ts';

/** The mean of x, a scalar of shape [], or over the last axis or these axes, which go away or are kept with length 1. */
export function mean(x: Tensor, over: Over = 'all', { keepdims = false }: ReduceOptions = {}): Tensor {
  return scaledSum('mean', x, over, keepdims, (n) => {
    if (n === 0) throw new Error(`mean: expected at least one element, got ${showShape(x.shape)}`);
    return 1 / n;
  });
}
