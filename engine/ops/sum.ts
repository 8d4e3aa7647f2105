/** Sums over everything or over any axes, always in the same order. */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { expectType } from './shared/check.ts';
import { axesOf, countOver, type Over, reducedShape, sumOver } from './shared/reduce.ts';
import { scaleTo } from './shared/scale.ts';
import { copyStrided, repeated, stridesOf } from './shared/strided.ts';
import { sumBackward } from './sum.ref.ts';

const BACKWARD = kernel('sum_bwd', (p) => groups(p.n, 1024));

export interface ReduceOptions {
  /** Whether the axes that are reduced stay, with length 1. */
  keepdims?: boolean;
}

/** Σ x over everything, a scalar of shape [], or over the last axis or these axes, which go away or are kept with length 1. */
export function sum(x: Tensor, over: Over = 'all', { keepdims = false }: ReduceOptions = {}): Tensor {
  return scaledSum('sum', x, over, keepdims, () => 1);
}

/** factor(n) · Σ of n elements each; what `sum` and `mean` share. */
export function scaledSum(
  name: string,
  x: Tensor,
  over: Over,
  keepdims: boolean,
  factorOf: (n: number) => number,
): Tensor {
  const { device } = x;
  expectType(name, 'x', x);
  const axes = axesOf(name, x, over);
  const cols = countOver(x.shape, axes);
  const factor = factorOf(cols);
  const y = device.empty(reducedShape(x.shape, axes, keepdims), 'f32', name);
  sumOver(x, (axis) => axes.includes(axis), y, factor, 0);
  const kept = reducedShape(x.shape, axes, true);
  const atEnd = kept.every((n, axis) => n === x.shape[axis] || kept.slice(axis).every((m) => m === 1));
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    const dy = gradOf(y);
    if (atEnd) device.run(BACKWARD, sumBackward, { dy, dx }, { n: x.size, cols, factor, acc });
    else {
      const rows = device.empty(kept, 'f32', `grad of ${name}`);
      scaleTo(dy, rows, factor, 0);
      copyStrided(name, x.shape, repeated(rows, x.shape), { tensor: dx, strides: stridesOf(x.shape) }, acc);
    }
  });
  return y;
}
