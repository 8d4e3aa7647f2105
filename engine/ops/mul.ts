/** The elementwise product a · b. */
import type { Tensor } from '../tensor.ts';
import { mulReferences } from './mul.ref.ts';
import { binary } from './shared/binary.ts';

/** a · b; shapes are equal, or one is a scalar (size 1) or a suffix of the other and repeats. */
export function mul(a: Tensor, b: Tensor): Tensor {
  return binary('mul', mulReferences, a, b);
}
