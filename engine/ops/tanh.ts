/** The hyperbolic tangent. */
import type { Tensor } from '../tensor.ts';
import { tanhReferences } from './tanh.ref.ts';
import { unary } from './shared/unary.ts';

/** Elementwise tanh of a tensor of any shape. */
export function tanh(x: Tensor): Tensor {
  return unary('tanh', tanhReferences, x);
}
