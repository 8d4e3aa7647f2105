import { crossEntropy, normalizeTable } from '../../../engine/index.ts';
import type { CrossEntropyOptions } from '../../../engine/ops/cross-entropy.ts';
import { type Case, everyWidth, sharded } from '../harness.ts';

const variants = {
  ce_stats: ['ce_stats_sg8', 'ce_stats_row', 'ce_stats', ...everyWidth('ce_stats_sub')],
  ce_loss: ['ce_loss_sg8', 'ce_loss'],
  matmul: ['matmul_tile'],
};

export const crossEntropyCase = (
  name: string,
  [l, d, v]: number[],
  options: CrossEntropyOptions = {},
  scale = 1,
  skip = 3,
): Case => ({
  op: 'cross-entropy',
  name: `${name}: L ${l}, D ${d}, V ${v}`,
  inputs: {
    x: { shape: [l, d], value: (_, normal) => normal() * scale },
    table: { shape: [v, d] },
    targets: { shape: [l], dtype: 'u32', value: (i) => (i * 7919) % v },
    weights: { shape: [l], grad: false, value: (i) => (i % skip === skip - 1 ? 0 : 1 / l) },
  },
  run: ({ x, table, targets, weights }) => crossEntropy(x, table, targets, weights, options),
  tolerance: { abs: 2e-5 * scale, rel: 1e-4 },
  variants,
});

export const crossEntropyCases: Case[] = [
  crossEntropyCase('one token', [1, 8, 5], {}, 1, 9),
  crossEntropyCase('one block', [33, 8, 37]),
  crossEntropyCase('aligned', [64, 16, 64]),
  crossEntropyCase('the loss in parts', [1030, 2, 5]),
  crossEntropyCase('blocks of rows', [130, 8, 33], { blockElements: 64 * 36 }),
  crossEntropyCase('blocks of rows and columns', [130, 8, 150], { blockElements: 64 * 1024, oneBlockWidth: 64 }),
  crossEntropyCase('large logits', [33, 8, 37], {}, 100),
  crossEntropyCase('no token counts', [5, 8, 7], {}, 1, 1),
  crossEntropyCase('smoothed labels', [33, 8, 37], { labelSmoothing: 0.1 }),
  crossEntropyCase('smoothed labels, blocks', [130, 8, 150], {
    labelSmoothing: 0.3,
    blockElements: 64 * 1024,
    oneBlockWidth: 64,
  }),
];

/** The table in shards of so many rows. */
export function inShards(rows: number, c: Case, options: CrossEntropyOptions = {}): Case {
  return {
    ...c,
    name: `${c.name}, in shards of ${rows}`,
    leaves: ['table'],
    run: ({ x, table, targets, weights }) => crossEntropy(x, sharded(table, rows), targets, weights, options),
  };
}

crossEntropyCases.push(
  inShards(64, crossEntropyCase('two', [33, 8, 100])),
  inShards(128, crossEntropyCase('three, blocks of rows', [130, 8, 270], {}, 1), { blockElements: 64 * 272 }),
  inShards(128, crossEntropyCase('blocks within shards', [70, 8, 333]), {
    blockElements: 64 * 1024,
    oneBlockWidth: 64,
  }),
  inShards(64, crossEntropyCase('smoothed labels', [33, 8, 100]), { labelSmoothing: 0.2 }),
  inShards(64, crossEntropyCase('large logits', [33, 8, 130], {}, 100)),
);

// Shards that are no leaves: without a token no block writes their gradients.
crossEntropyCases.push({
  ...crossEntropyCase('no token, normalized shards', [0, 8, 100]),
  leaves: ['table'],
  run: ({ x, table, targets, weights }) => crossEntropy(x, normalizeTable(sharded(table, 64)), targets, weights),
});
