/** Binary cross-entropy of logits, weighted and summed: Σ wᵢ · (max(x, 0) − x·t + log(1 + exp(−|x|))). */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import { texts } from '../../kernels/bce-with-logits/texts.ts';
import type { Tensor } from '../tensor.ts';
import { bceBackward, bceForward } from './bce-with-logits.ref.ts';
import { expectConstants, expectSameShape, expectType } from './shared/check.ts';
import { evenWeights } from './shared/even-weights.ts';
import { sumAll } from './shared/sums.ts';

const FORWARD = kernel('bce_fwd', (p) => groups(p.n, 1024), undefined, texts);
const BACKWARD = kernel('bce_bwd', (p) => groups(p.n, 1024), undefined, texts);

/**
 * The loss as a scalar of shape []. `logits`, `targets` (0 to 1) and the weights `given` have one shape; a weight of 0 leaves
 * an element out. Without weights it is the mean over all elements. The gradient goes to the logits alone: w · (sigmoid(x) − t).
 */
export function bceWithLogits(logits: Tensor, targets: Tensor, given?: Tensor | null): Tensor {
  const { device } = logits;
  const weights = given ?? evenWeights(device, logits.shape);
  for (const [name, t] of Object.entries({ logits, targets, weights })) {
    expectType('bceWithLogits', name, t);
    expectSameShape('bceWithLogits', 'logits', logits, name, t);
  }
  expectConstants('bceWithLogits', { targets, weights });
  const n = logits.size;
  const terms = device.empty(logits.shape, 'f32', 'bce terms');
  const y = device.empty([], 'f32', 'bce');
  device.run(FORWARD, bceForward, { logits, targets, weights, y: terms }, { n });
  sumAll(terms, y, 1, 0);
  device.tape.record([logits], y, () => {
    const { grad: dx, acc } = into(logits);
    device.run(BACKWARD, bceBackward, { logits, targets, weights, dy: gradOf(y), dx }, { n, acc });
  });
  return y;
}
