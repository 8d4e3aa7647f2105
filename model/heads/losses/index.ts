/** The kinds of losses, by the name that `loss` has in the settings. */
import { bce } from './bce.ts';
import { bpr } from './bpr.ts';
import { gbce } from './gbce.ts';
import type { LossKind } from './loss.ts';
import { sampledSoftmax } from './sampled-softmax.ts';
import { softmaxLoss } from './softmax.ts';

export const LOSSES = { softmax: softmaxLoss, 'sampled-softmax': sampledSoftmax, bce, gbce, bpr } satisfies Record<
  string,
  LossKind
>;
