/**
 * Inverted dropout (Srivastava et al. 2014): each element is zeroed with probability `rate`, what is left is scaled by
 * 1 / (1 − rate). The mask follows from (seed, step, op, element) alone and is computed again in the backward.
 * Whether it is on is in `device.state` word 5, so that one recording serves training and evaluation.
 */
import { gradOf, into } from '../autograd.ts';
import { dropoutParams } from '../random/keep.ts';
import { groups, kernel } from '../kernel.ts';
import type { Tensor } from '../tensor.ts';
import { dropoutReference } from './dropout.ref.ts';
import { expectType } from './shared/check.ts';

const DROPOUT = kernel('dropout', (p) => groups(p.n, 1024));

/** y = [y +] x · mask for two tensors of one size, forward and backward alike. */
export function dropoutTo(x: Tensor, y: Tensor, mask: { op: number; threshold: number; scale: number }, acc: number) {
  const { op, threshold, scale } = mask;
  const { device } = x;
  device.run(DROPOUT, dropoutReference, { state: device.state, x, y }, { n: x.size, op, threshold, scale, acc });
}

/** Dropout of a tensor of any shape; `rate` in [0, 1), and 0 gives x itself. */
export function dropout(x: Tensor, rate: number): Tensor {
  const { device } = x;
  expectType('dropout', 'x', x);
  if (!(rate >= 0 && rate < 1)) throw new Error(`dropout: expected a rate in [0, 1), got ${rate}`);
  const op = device.opCounter++;
  if (rate === 0) return x;
  const mask = dropoutParams('dropout', rate, op);
  const y = device.empty(x.shape, 'f32', 'dropout');
  dropoutTo(x, y, mask, 0);
  device.tape.record([x], y, () => {
    const { grad, acc } = into(x);
    dropoutTo(gradOf(y), grad, mask, acc);
  });
  return y;
}
