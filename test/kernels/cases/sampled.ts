import { normalize, normalizeTable, rowDot, sampledLoss, shardsOf } from '../../../engine/index.ts';
import type { SampledLossOptions } from '../../../engine/index.ts';
import { type Case, shapes, sharded } from '../harness.ts';

const tolerance = { abs: 2e-5, rel: 1e-4 };
const files = (name: string): Record<string, string[]> => ({ [name]: [name, `${name}_scalar`] });
const variants = { ...files('sampled_loss_fwd'), ...files('sampled_loss_bwd') };

/** L positions in groups of `group`, N negatives a group, out of 7 items, so that many are hits. */
export function sampledCase(
  name: string,
  [l, n, group]: number[],
  options: SampledLossOptions & { corrected?: boolean },
  scale = 1,
  skip = 3,
): Case {
  const lists = l / group;
  return {
    op: 'sampled-loss',
    name: `${name}: L ${l}, N ${n}, groups of ${group}`,
    inputs: {
      pos: { shape: [l], value: (_, normal) => scale * normal() },
      neg: { shape: [l, n], value: (_, normal) => scale * normal() },
      targets: { shape: [l], dtype: 'u32', value: (i) => (i * 5) % 7 },
      negatives: { shape: [lists, n], dtype: 'u32', value: (i) => (i * i + 3 * i) % 7 },
      weights: { shape: [l], grad: false, value: (i) => (i % skip === skip - 1 ? 0 : 1 / l) },
      logq: { shape: [lists, n], grad: false, value: (_, normal) => normal() - 2 },
    },
    run: ({ pos, neg, targets, negatives, weights, logq }) =>
      sampledLoss(pos, neg, targets, negatives, weights, { ...options, logq: options.corrected ? logq : null }),
    tolerance: { abs: tolerance.abs * scale, rel: tolerance.rel },
    variants,
  };
}

export const sampledCases: Case[] = [
  ...(['softmax', 'bce', 'bpr'] as const).flatMap((kind) => [
    sampledCase(kind, [12, 8, 3], { kind }),
    sampledCase(`${kind}, one negative each`, [33, 1, 1], { kind }),
    sampledCase(`${kind}, one list, odd`, [10, 37, 10], { kind, corrected: true }),
    sampledCase(`${kind}, several rounds`, [6, 300, 2], { kind }),
    sampledCase(`${kind}, large scores`, [12, 8, 4], { kind }, 60),
    sampledCase(`${kind}, no position counts`, [4, 4, 2], { kind }, 1, 1),
  ]),
  sampledCase('bce, calibrated', [12, 8, 3], { kind: 'bce', beta: 0.3 }),
  {
    // Every negative is the target: the softmax has nothing to compare with.
    ...sampledCase('softmax, hits alone', [4, 4, 2], { kind: 'softmax' }, 1, 9),
    inputs: {
      ...sampledCase('softmax, hits alone', [4, 4, 2], { kind: 'softmax' }, 1, 9).inputs,
      targets: { shape: [4], dtype: 'u32', value: () => 3 },
      negatives: { shape: [2, 4], dtype: 'u32', value: () => 3 },
    },
  },
  ...shapes('1,4 33,8 65,64 5,260 0,4').map(
    ([r, d]): Case => ({
      op: 'row-dot',
      name: `[${r},${d}]`,
      inputs: { a: { shape: [r, d] }, b: { shape: [r, d] } },
      run: ({ a, b }) => rowDot(a, b),
      tolerance: { abs: 1e-5 * Math.sqrt(d), rel: 1e-5 },
    }),
  ),
  { op: 'row-dot', name: 'of itself', inputs: { a: { shape: [5, 12] } }, run: ({ a }) => rowDot(a, a) },
  ...shapes('1,4 33,8 65,64 5,260').map(
    ([r, d]): Case => ({
      op: 'normalize',
      name: `[${r},${d}]`,
      inputs: { x: { shape: [r, d] } },
      run: ({ x }) => normalize(x),
    }),
  ),
  {
    op: 'normalize',
    name: 'very long and very short rows',
    inputs: { x: { shape: [2, 8], value: (i, normal) => normal() * (i < 8 ? 1e6 : 1e-4) } },
    run: ({ x }) => normalize(x),
    // The gradient of a row is as long as the row is short.
    tolerance: { abs: 1e-4, rel: 1e-4 },
    gradients: false,
  },
  {
    op: 'normalize',
    name: 'a table in shards',
    leaves: ['x'],
    inputs: { x: { shape: [100, 8] } },
    run: ({ x }) => shardsOf(normalizeTable(sharded(x, 64))).map(({ tensor }) => tensor),
  },
];
