/** The elementwise quotient a / b. */
import type { Tensor } from '../tensor.ts';
import { divReferences } from './div.ref.ts';
import { binary } from './shared/binary.ts';

/** a / b; shapes are equal, or one is a scalar (size 1) or a suffix of the other and repeats. */
export function div(a: Tensor, b: Tensor): Tensor {
  return binary('div', divReferences, a, b);
}
