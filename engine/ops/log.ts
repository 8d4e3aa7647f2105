/** The natural logarithm. */
import type { Tensor } from '../tensor.ts';
import { logReferences } from './log.ref.ts';
import { unary } from './shared/unary.ts';

/** Elementwise log of a tensor of any shape; its values must be positive. */
export function log(x: Tensor): Tensor {
  return unary('log', logReferences, x);
}
