/** The logarithm of a sum of exponentials, from which the largest is subtracted first. */
import type { Tensor } from '../tensor.ts';
import { add, sub } from './binary.ts';
import { max } from './max.ts';
import { axesOf, type Over, reducedShape } from './shared/reduce.ts';
import { type ReduceOptions, sum } from './sum.ts';
import { clamp, exp, log } from './unary.ts';

/** log Σ exp(x) over everything, a scalar of shape [], or over the last axis or these axes. */
export function logsumexp(x: Tensor, over: Over = 'all', { keepdims = false }: ReduceOptions = {}): Tensor {
  const axes = axesOf('logsumexp', x, over);
  // Any finite number near the largest does: it has no gradient. Of infinite ones the difference would be NaN.
  const most = clamp(max(x.detach(), axes, { keepdims: true }), -3e38, 3e38);
  const y = add(log(sum(exp(sub(x, most)), axes, { keepdims: true })), most);
  return y.reshape(reducedShape(x.shape, axes, keepdims));
}
