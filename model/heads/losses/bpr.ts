/** Bayesian personalized ranking: −log σ(target − negative) of each negative (Rendle et al., UAI 2009). */
import { type LossKind, overSamples } from './loss.ts';

export const bpr: LossKind = {
  help: 'Bayesian personalized ranking against each sampled negative',
  sampled: true,
  forward: (batch) => overSamples(batch, 'bpr'),
};
