/** Settings of the loss, its negatives, the head, the schedule and the augmentation. */
import { HEADS } from '../heads/index.ts';
import { LOSSES } from '../heads/losses/index.ts';
import { byRowAllowed } from './derived.ts';
import { choice, type Fail, integer, kindOf, number, onOff, ownSettings, positive, rate, share } from './setting.ts';
import type { Settings } from './settings.ts';

export const TRAINING_SETTINGS = {
  loss: kindOf('softmax', LOSSES, 'what is minimized'),
  negatives: integer(256, 1, 2 ** 21, 'sampled negatives N of a position'),
  negativeGroup: integer(128, 0, 65_536, 'consecutive positions that share N; 1: none do, 0: the whole batch does'),
  sampler: choice('uniform', ['uniform', 'popularity', 'in-batch'], 'where negatives come from', {
    meanings: {
      uniform: 'all items alike',
      popularity: 'by their count in training',
      'in-batch': 'the targets of the batch',
    },
  }),
  ...ownSettings(LOSSES),
  similarity: choice('dot', ['dot', 'cosine'], 'how a state and an item compare, in training and in scoring'),
  head: kindOf('dot', HEADS, 'how scores come from states and items'),
  ...ownSettings(HEADS),
  temperature: number(0, 0, 1e6, 'divides similarities; 0: 1 for dot, 0.05 for cosine'),
  schedule: choice('constant', ['constant', 'cosine'], 'of the learning rate; cosine falls to a hundredth'),
  warmup: integer(0, 0, 1e9, 'steps over which the learning rate rises'),
  scheduleSteps: integer(0, 0, 1e9, "the cosine's end in steps; 0: that of the epochs"),
  embeddingDecay: number(0, 0, 1e6, 'decoupled weight decay of embeddings'),
  tableOptimizer: choice('adamw', ['adamw', 'adagrad'], 'what the item table is trained by', {
    meanings: {
      adamw: 'AdamW, as all other weights are',
      adagrad: 'row-wise Adagrad: one number a row instead of two moments; requires a loss over samples',
    },
  }),
  tableRate: positive(10, 1e6, 'adagrad: what the learning rate of the item table is multiplied by'),
  ema: rate(0, 'decay of the moving average of the weights, which is validated and saved; 0: none'),
  guard: onOff('off', 'leave users out of the training whose profiles look injected'),
  accumulate: integer(1, 1, 65_536, 'batches per step'),
  augmentCrop: share(0, 'probability that a window is cropped (CL4SRec; Xie et al., ICDE 2022)'),
  augmentMask: share(0, 'probability that it loses items'),
  augmentReorder: share(0, 'probability that a run of it is shuffled'),
  cropRatio: positive(0.6, 1, 'share of a cropped window that is kept'),
  maskRatio: rate(0.3, 'share of items lost'),
  reorderRatio: share(0.6, 'share of the window shuffled'),
};

/** What the declarations do not say of losses over samples. */
export function checkNegatives(s: Settings, fail: Fail): void {
  const { loss, budget, negatives, negativeGroup } = s;
  if (s.tableOptimizer === 'adagrad' && !byRowAllowed(s))
    fail(
      'tableOptimizer',
      'adagrad requires a loss over samples, such as sampled-softmax, items=ids, accumulate=1, and not both of ema and embeddingDecay',
    );
  if (!LOSSES[loss].sampled) return;
  if (negativeGroup > 0 && budget % negativeGroup !== 0)
    fail('negativeGroup', `a batch of ${budget} tokens does not divide by it; choose a divisor, 0 for the whole batch`);
  if (Math.ceil(budget / (negativeGroup || budget)) * negatives > 2 ** 21)
    fail('negatives', `more than 2,097,152 a batch of ${budget} tokens; choose fewer, or a larger negativeGroup`);
}
