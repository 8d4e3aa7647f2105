/** The elementwise sum a + b. */
import type { Tensor } from '../tensor.ts';
import { addReferences } from './add.ref.ts';
import { binary } from './shared/binary.ts';

/** a + b; shapes are equal, or one is a scalar (size 1) or a suffix of the other and repeats. */
export function add(a: Tensor, b: Tensor): Tensor {
  return binary('add', addReferences, a, b);
}
