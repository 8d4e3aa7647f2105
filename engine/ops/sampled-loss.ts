/**
 * Losses over sampled negatives, from scores: each of L positions has the score of its target and those of N negatives
 * that it shares with the other positions of its group. A negative that is the position's own target does not count.
 */
import { gradOf, into } from '../autograd.ts';
import { groups, type Kernel, kernel, type Params } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { KINDS, sampledLossBackward, sampledLossForward } from './sampled-loss.ref.ts';
import { expectConstants, expectOneOf } from './shared/check.ts';
import { evenWeights } from './shared/even-weights.ts';
import { sumAll } from './shared/sums.ts';

function rowKernel(name: string): Kernel {
  const variant = (file: string, unit: number) => ({
    file,
    accepts: (p: Params) => p.n % unit === 0,
    grid: (p: Params) => groups(p.l, 64 / threads(p.n / unit)),
    constants: (p: Params) => ({ LANES: threads(p.n / unit) }),
  });
  return kernel(name, [variant(name, 4), variant(`${name}_scalar`, 1)]);
}
/** Threads that share a row of so many units; two widths, since each is a shader to compile. */
const threads = (units: number): number => (units < 16 ? 1 : 16);
const FORWARD = rowKernel('sampled_loss_fwd');
const BACKWARD = rowKernel('sampled_loss_bwd');

export interface SampledLossOptions {
  /**
   * With x the scores of the negatives (less `logq`), s that of the target:
   * softmax  log(eˢ + Σ eˣ) − s
   * bce      (beta · softplus(−s) + Σ softplus(x)) / (N + 1)   beta < 1 is gBCE (Petrov & Macdonald, RecSys 2023, eq. 10)
   * bpr      Σ softplus(x − s) / N                             (Rendle et al., UAI 2009)
   */
  kind: (typeof KINDS)[number];
  /** bce: the exponent of the positive's probability; 1 by default. */
  beta?: number;
  /** f32 [G, N], taken from the negatives' scores: log(N · q) makes softmax an estimate of the one over all items. */
  logq?: Tensor | null;
}

/**
 * Σᵢ weightsᵢ · loss of position i, a scalar [1].
 *
 * @param pos [L] score of the target @param neg [L, N] scores of the negatives @param targets u32 [L]
 * @param negatives u32 [G, N]: position i has the list ⌊i / (L / G)⌋ @param given weights f32 [L]; 0 leaves a position out, and null is 1/L each: the mean
 */
export function sampledLoss(
  pos: Tensor,
  neg: Tensor,
  targets: Tensor,
  negatives: Tensor,
  given: Tensor | null,
  { kind, beta = 1, logq = null }: SampledLossOptions,
): Tensor {
  const { device } = pos;
  expectOneOf('sampledLoss', 'kind', kind, KINDS);
  const [l, n] = neg.shape;
  const [g, n2] = negatives.shape;
  if (neg.rank !== 2 || negatives.rank !== 2 || n !== n2 || n === 0 || l % g !== 0) {
    throw new Error(
      `sampledLoss: expected neg [L,N] and negatives [G,N] with N >= 1 and G dividing L, got ${showShape(neg.shape)} and ${showShape(negatives.shape)}`,
    );
  }
  const weights = given ?? evenWeights(device, l);
  for (const [name, t, dtype, size] of [
    ['pos', pos, 'f32', l],
    ['neg', neg, 'f32', l * n],
    ['targets', targets, 'u32', l],
    ['negatives', negatives, 'u32', g * n],
    ['weights', weights, 'f32', l],
    ['logq', logq, 'f32', g * n],
  ] as const) {
    if (t && (t.dtype !== dtype || t.size !== size))
      throw new Error(`sampledLoss: expected ${name} ${dtype} of ${size}, got ${t.dtype} ${showShape(t.shape)}`);
  }
  if (pos.state === neg.state)
    throw new Error(
      `sampledLoss: pos and neg are the same tensor; expected two different ones, got ${showShape(neg.shape)} twice`,
    );
  expectConstants('sampledLoss', { weights, logq });
  const share = kind === 'softmax' ? 1 : 1 / (kind === 'bce' ? n + 1 : n);
  const params = { l, n, group: l / g, kind: KINDS.indexOf(kind), logq_on: logq ? 1 : 0, share, beta };
  const stats = device.empty([l, 4], 'f32', 'sampled loss stats');
  const terms = device.empty([l], 'f32', 'sampled loss terms');
  const loss = device.empty([1], 'f32', 'loss');
  device.run(FORWARD, sampledLossForward, { pos, neg, targets, negatives, logq, weights, stats, terms }, params);
  sumAll(terms, loss, 1, 0);
  device.tape.record([pos, neg], loss, () => {
    const [dpos, dneg] = [into(pos), into(neg)];
    device.run(
      BACKWARD,
      sampledLossBackward,
      { neg, targets, negatives, logq, stats, dy: gradOf(loss), dpos: dpos.grad, dneg: dneg.grad },
      { ...params, acc_pos: dpos.acc, acc_neg: dneg.acc },
    );
  });
  return loss;
}
