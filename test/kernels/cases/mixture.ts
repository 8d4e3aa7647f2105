import { type Mixture, mixtureColumns, mixtureOfLogits } from '../../../engine/index.ts';
import type { Case, InputSpec } from '../harness.ts';

interface Sizes {
  l: number;
  lists: number;
  n: number;
  ku: number;
  kx: number;
  d: number;
  h: number;
}

const inputs = ({ l, lists, n, ku, kx, d, h }: Sizes, scale = 1): Record<keyof Mixture, InputSpec> => {
  const K = ku * kx;
  const by = (factor: number) => (_: number, normal: () => number) => factor * normal();
  return {
    users: { shape: [l, ku, d], value: by(scale / Math.sqrt(d)) },
    items: { shape: [lists, n, kx, d], value: by(scale) },
    userGate: { shape: [l, K], value: by(scale) },
    itemGate: { shape: [lists, n, K], value: by(scale) },
    up: { shape: [K, h], value: by(1 / Math.sqrt(K)) },
    bias: { shape: [h], value: by(0.5) },
    down: { shape: [h, K], value: by(1 / Math.sqrt(h)) },
  };
};

function mixture(name: string, s: Sizes, blockElements?: number, size = 1): Case {
  return {
    op: 'mixture-of-logits',
    name: `${name}: L ${s.l}, ${s.lists} lists of ${s.n}, ${s.ku} × ${s.kx} components of ${s.d}, gate of ${s.h}`,
    inputs: inputs(s, size),
    run: (t) => mixtureOfLogits(t as unknown as Mixture, { scale: 2.5, blockElements }),
    // Sums over all pairs, of products that grow with both sides.
    tolerance: { abs: 1e-5 * Math.sqrt(s.l * s.n) * size ** 3, rel: 1e-4 },
  };
}

const small = { ku: 2, kx: 4, d: 4, h: 4 };

export const mixtureCases: Case[] = [
  mixture('one list', { l: 5, lists: 1, n: 3, ...small }),
  mixture('a list each', { l: 33, lists: 33, n: 1, ...small }),
  mixture('groups', { l: 12, lists: 4, n: 7, ...small }),
  mixture('the default sizes', { l: 8, lists: 2, n: 16, ku: 4, kx: 4, d: 32, h: 16 }),
  mixture('one state component, wide items', { l: 6, lists: 2, n: 5, ku: 1, kx: 8, d: 8, h: 12 }),
  mixture('blocks of rows of one list', { l: 130, lists: 1, n: 3, ...small }, 8),
  mixture('blocks of rows within lists', { l: 256, lists: 2, n: 16, ku: 1, kx: 4, d: 4, h: 4 }, 64 * 16 * 4),
  mixture('blocks of lists', { l: 24, lists: 12, n: 8, ku: 4, kx: 4, d: 4, h: 4 }, 8 * 16 * 16),
  mixture(
    'blocks of lists whose views are aligned eight at a time',
    { l: 24, lists: 24, n: 3, ku: 2, kx: 4, d: 4, h: 4 },
    8,
  ),
  mixture('large gates and logits', { l: 4, lists: 2, n: 4, ...small }, undefined, 12),
  {
    op: 'mixture-of-logits',
    name: 'columns of scores, in blocks of rows',
    inputs: inputs({ l: 70, lists: 1, n: 5, ...small }),
    run: (t, device) => {
      const scores = device.zeros([70, 133]);
      mixtureColumns(t as unknown as Mixture, { scale: 2, blockElements: 8 }, scores, 64);
      return scores;
    },
    gradients: false,
  },
];
