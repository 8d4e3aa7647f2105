/** Cross-entropy over the whole catalog. */
import { crossEntropy } from '../../../engine/index.ts';
import { rate } from '../../recipes/setting.ts';
import type { LossKind } from './loss.ts';

const settings = {
  labelSmoothing: rate(0, "softmax: share of the target's probability that is spread over all items", {
    requires: { loss: 'softmax' },
  }),
};

export const softmaxLoss: LossKind & { settings: typeof settings } = {
  help: 'cross-entropy over the whole catalog',
  settings,
  sampled: false,
  forward({ states, table, head, targets, weights }, { labelSmoothing }) {
    if (!head.vectors) throw new Error('loss softmax: expected a head that compares vectors');
    return crossEntropy(head.vectors.states(states), head.vectors.table(table), targets, weights, { labelSmoothing });
  },
};
