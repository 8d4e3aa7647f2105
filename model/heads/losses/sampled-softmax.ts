/** Cross-entropy over the target and sampled negatives; with logq an estimate of the full softmax (Bengio & Senécal 2008). */
import { onOff } from '../../recipes/setting.ts';
import { type LossKind, overSamples } from './loss.ts';

const settings = { logq: onOff('on', 'sampled-softmax: correct for how likely a negative was drawn') };

export const sampledSoftmax: LossKind & { settings: typeof settings } = {
  help: 'cross-entropy over sampled negatives',
  settings,
  sampled: true,
  corrects: ({ logq }) => logq === 'on',
  forward: (batch) => overSamples(batch, 'softmax'),
};
