/** y = factor · x for a constant factor (one that varies between steps must be a tensor: `mul`). */
import { gradOf } from '../autograd.ts';
import type { Tensor } from '../tensor.ts';
import { expectType } from './shared/check.ts';
import { scaleInto, scaleTo } from './shared/scale.ts';

/** factor · x for x of any shape. */
export function scale(x: Tensor, factor: number): Tensor {
  expectType('scale', 'x', x);
  if (!Number.isFinite(factor)) throw new Error(`scale: expected a finite factor, got ${factor}`);
  const y = x.device.empty(x.shape, 'f32', 'scale');
  scaleTo(x, y, factor, 0);
  x.device.tape.record([x], y, () => scaleInto(gradOf(y), x, factor));
  return y;
}
