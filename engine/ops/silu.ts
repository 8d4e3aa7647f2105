/** SiLU: y = x · sigmoid(x) (Elfwing et al. 2018). */
import type { Tensor } from '../tensor.ts';
import { siluReferences } from './silu.ref.ts';
import { unary } from './shared/unary.ts';

/** Elementwise x · sigmoid(x) of a tensor of any shape. */
export function silu(x: Tensor): Tensor {
  return unary('silu', siluReferences, x);
}
