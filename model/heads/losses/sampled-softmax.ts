/** Cross-entropy over the target and sampled negatives; with logq an estimate of the full softmax (Bengio & Senécal 2008). */
import { type LossKind, overSamples } from './loss.ts';

export const sampledSoftmax: LossKind = {
  help: 'over sampled negatives',
  sampled: true,
  corrects: ({ logq }) => logq === 'on',
  forward: (batch) => overSamples(batch, 'softmax'),
};
