/** The logistic function y = 1 / (1 + exp(−x)). */
import type { Tensor } from '../tensor.ts';
import { sigmoidReferences } from './sigmoid.ref.ts';
import { unary } from './shared/unary.ts';

/** Elementwise sigmoid of a tensor of any shape. */
export function sigmoid(x: Tensor): Tensor {
  return unary('sigmoid', sigmoidReferences, x);
}
