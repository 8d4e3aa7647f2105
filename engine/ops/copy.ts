/** A copy of a tensor, f32 or u32. */
import { gradOf } from '../autograd.ts';
import type { Tensor } from '../tensor.ts';
import { blockGradient, copyBlock } from './shared/block.ts';

/** A new tensor with the values of x. */
export function copy(x: Tensor): Tensor {
  const y = x.device.empty(x.shape, x.dtype, `copy of ${x.label}`);
  const whole = { stride: x.size, offset: 0 };
  copyBlock(x, whole, y, whole, 1, x.size);
  x.device.tape.record([x], y, () => blockGradient(gradOf(y), whole, x, 1, x.size));
  return y;
}
