/** The elementwise difference a − b. */
import type { Tensor } from '../tensor.ts';
import { subReferences } from './sub.ref.ts';
import { binary } from './shared/binary.ts';

/** a − b; shapes are equal, or one is a scalar (size 1) or a suffix of the other and repeats. */
export function sub(a: Tensor, b: Tensor): Tensor {
  return binary('sub', subReferences, a, b);
}
