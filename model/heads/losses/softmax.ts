/** Cross-entropy over the whole catalog. */
import { crossEntropy } from '../../../engine/index.ts';
import type { LossKind } from './loss.ts';

export const softmax: LossKind = {
  help: 'over the whole catalog',
  sampled: false,
  forward({ states, table, head, targets, weights }, { labelSmoothing }) {
    if (!head.vectors) throw new Error('loss softmax: expected a head that compares vectors');
    return crossEntropy(head.vectors.states(states), head.vectors.table(table), targets, weights, { labelSmoothing });
  },
};
