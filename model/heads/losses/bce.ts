/** Binary cross-entropy of the target and each negative; SASRec's original with negatives=1 and negativeGroup=1. */
import { type LossKind, overSamples } from './loss.ts';

export const bce: LossKind = {
  help: 'binary cross-entropy of the target and each sampled negative',
  sampled: true,
  forward: (batch) => overSamples(batch, 'bce'),
};
