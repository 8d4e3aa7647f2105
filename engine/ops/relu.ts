/** ReLU: y = max(x, 0); its slope at 0 is 0. */
import type { Tensor } from '../tensor.ts';
import { reluReferences } from './relu.ref.ts';
import { unary } from './shared/unary.ts';

/** Elementwise max(x, 0) of a tensor of any shape. */
export function relu(x: Tensor): Tensor {
  return unary('relu', reluReferences, x);
}
