/** The exponential function. */
import type { Tensor } from '../tensor.ts';
import { expReferences } from './exp.ref.ts';
import { unary } from './shared/unary.ts';

/** Elementwise exp of a tensor of any shape; above 88.7 f32 overflows. */
export function exp(x: Tensor): Tensor {
  return unary('exp', expReferences, x);
}
