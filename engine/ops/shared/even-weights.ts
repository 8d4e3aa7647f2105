/** The weights of a loss that got none: its mean. */
import type { Device } from '../../device.ts';
import type { Shape, Tensor } from '../../tensor.ts';
import { sizeOf } from '../../tensor.ts';

/** f32 of this shape (or of one axis of n), each 1/n with n its size. */
export function evenWeights(device: Device, shape: Shape | number): Tensor {
  const dims = typeof shape === 'number' ? [shape] : shape;
  return device.full(dims, 1 / Math.max(1, sizeOf(dims)), 'weights');
}
