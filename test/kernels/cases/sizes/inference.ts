/** Sizes 0 and 1 of what ranks, and of the optimizer. */
import {
  adamwStep,
  sgdStep,
  logBlend,
  rankOf,
  rankTiles,
  rowMoments,
  slice,
  sparseScores,
  tableScores,
  topk,
} from '../../../../engine/index.ts';
import { BETAS, RATE, STATUS } from '../adamw.ts';
import type { Case } from '../../harness.ts';
import { away, fixed, sized, u32 } from './sized.ts';

export const inferenceSizes: Case[] = [
  ...sized(
    'topk',
    '[R,V], the best K',
    { R: 3, V: 9, K: 4 },
    ({ R, V, K }) => ({
      inputs: { scores: fixed([R, V]), targets: u32([R], (r) => r) },
      run: ({ scores, targets }) => {
        const { values, indices } = topk(scores, K, { targets });
        return [values, indices, rankOf(scores, targets)];
      },
      gradients: false,
      tolerance: { abs: 0, rel: 0 },
    }),
    ({ V, K }) => (V === 0 || K === 0) && 'topk: ',
  ),
  ...sized(
    'rank-tiles',
    '[R,V] by W',
    { R: 3, V: 130, W: 64 },
    ({ R, V, W }) => ({
      inputs: { scores: fixed([R, V]), targets: u32([R], (r) => r) },
      run: ({ scores, targets }) => {
        const { ranks, values, indices } = rankTiles((from, to) => slice(scores, 1, from, to), V, W, targets, 5);
        return [ranks, values, indices];
      },
      gradients: false,
      tolerance: { abs: 0, rel: 0 },
    }),
    ({ V, W }) => (V === 0 || W === 0) && 'rankTiles: ',
  ),
  ...sized('table-scores', 'R states of D, V rows', { R: 3, D: 8, V: 7 }, ({ R, D, V }) => ({
    inputs: { states: fixed([R, D]), table: fixed([V, D]) },
    run: ({ states, table }) => tableScores(states, table),
    gradients: false,
  })),
  ...sized(
    'sparse-scores',
    'U lists of N, V columns',
    { U: 3, N: 2, V: 5 },
    ({ U, N, V }) => ({
      inputs: {
        offsets: u32([U + 1], (i) => i * N),
        items: u32([Math.max(1, U * N)], (i) => i % 4),
        weights: fixed([Math.max(1, U * N)]),
        starts: u32([5], (i) => i),
        columns: u32([4], (i) => (V === 0 ? 0 : i % V)),
        values: fixed([4]),
      },
      run: ({ offsets, items, weights, starts, columns, values }) =>
        sparseScores([{ first: 0, rows: 4, starts, columns, values }], { offsets, items, weights, longest: N }, 0, V),
      gradients: false,
    }),
    ({ V }) => V === 0 && 'sparseScores: ',
  ),
  ...sized(
    'sparse-scores',
    'a blend of [U,V]',
    { U: 3, V: 5 },
    ({ U, V }) => ({
      inputs: { scores: fixed([U, V], (i) => i + 1), more: fixed([U, V], away), weights: fixed([2], () => 0.5) },
      run: ({ scores, more, weights }) => {
        logBlend(scores, more, rowMoments(scores), weights);
        return scores;
      },
      gradients: false,
    }),
    ({ V }) => V === 0 && 'rowMoments: ',
  ),
  ...sized('sgd', 'n parameters', { n: 5 }, ({ n }) => ({
    inputs: {
      params: fixed([n]),
      grads: fixed([n]),
      m: fixed([n]),
      status: u32([18], (i) => STATUS[i]),
    },
    state: RATE,
    run: ({ params, grads, m, status }) => {
      const options = { momentum: 0.9, nesterov: false, weightDecay: 0.1, clip: 1, status };
      sgdStep({ shards: [{ params, grads, m, decayEnd: n }] }, options);
      return [params, m, status];
    },
    gradients: false,
    tolerance: { abs: 1e-6, rel: 1e-5 },
  })),
  ...sized('adamw', 'n parameters', { n: 5 }, ({ n }) => ({
    inputs: {
      params: fixed([n]),
      grads: fixed([n]),
      m: fixed([n]),
      v: fixed([n], (_, normal) => normal() ** 2),
      loss: fixed([1], () => 1),
      losses: fixed([4], () => 0),
      status: u32([STATUS.length], (i) => STATUS[i]),
    },
    state: RATE,
    run: ({ params, grads, m, v, loss, losses, status }) => {
      const shard = { params, grads, m, v, decayEnd: n, embeddingEnd: n };
      const options = { ...BETAS, eps: 1e-8, weightDecay: 0.1, clip: 1, loss, losses, status };
      adamwStep({ shards: [shard] }, options);
      return [params, m, v, status];
    },
    gradients: false,
    tolerance: { abs: 1e-6, rel: 1e-5 },
  })),
];
