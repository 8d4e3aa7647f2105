/** Sizes 0 and 1 of the layers of a model and of its losses. */
import {
  addLayernorm,
  attention,
  bceWithLogits,
  biasWidth,
  cachedAttention,
  crossAttention,
  crossBounds,
  crossEntropy,
  embedding,
  embeddingSum,
  gatedRecurrence,
  layernorm,
  type Mixture,
  mixtureOfLogits,
  normalize,
  rmsnorm,
  relativeAttention,
  rotary,
  rotaryAngles,
  rowDot,
  sampledLoss,
  SparseMatrix,
  sparseMatmul,
  swiglu,
  type Tensor,
} from '../../../../engine/index.ts';
import { grouped } from '../embedding.ts';
import type { Case, InputSpec } from '../../harness.ts';
import { fixed, sized, type Sizes, u32 } from './sized.ts';

const norms: Case[] = [
  ...sized(
    'layernorm',
    '[R,D]',
    { R: 3, D: 8 },
    ({ R, D }) => ({
      inputs: { x: { shape: [R, D] }, weight: { shape: [D] }, bias: { shape: [D] } },
      run: ({ x, weight, bias }) => layernorm(x, weight, bias),
    }),
    ({ D }) => D === 0 && 'layernorm: ',
  ),
  ...sized(
    'layernorm',
    'the sum of two [R,D]',
    { R: 3, D: 8 },
    ({ R, D }) => ({
      inputs: { x: { shape: [R, D] }, r: { shape: [R, D] }, weight: { shape: [D] }, bias: { shape: [D] } },
      run: ({ x, r, weight, bias }) => Object.values(addLayernorm(x, r, weight, bias)),
    }),
    ({ D }) => D === 0 && 'addLayernorm: ',
  ),
  ...sized(
    'rmsnorm',
    '[R,D]',
    { R: 3, D: 8 },
    ({ R, D }) => ({
      inputs: { x: { shape: [R, D] }, weight: { shape: [D] } },
      run: ({ x, weight }) => rmsnorm(x, weight),
    }),
    ({ D }) => (D % 4 !== 0 || D === 0 ? 'rmsnorm: ' : false),
  ),
  ...sized(
    'normalize',
    '[R,D]',
    { R: 3, D: 8 },
    ({ R, D }) => ({ inputs: { x: { shape: [R, D] } }, run: ({ x }) => normalize(x) }),
    ({ D }) => (D % 4 !== 0 || D === 0 ? 'normalize: ' : false),
  ),
  ...sized(
    'row-dot',
    '[R,D]',
    { R: 3, D: 8 },
    ({ R, D }) => ({ inputs: { a: { shape: [R, D] }, b: { shape: [R, D] } }, run: ({ a, b }) => rowDot(a, b) }),
    ({ D }) => (D % 4 !== 0 || D === 0 ? 'rowDot: ' : false),
  ),
];

const lookups: Case[] = [
  ...sized('embedding', 'L of [V,D]', { L: 6, V: 5, D: 8 }, ({ L, V, D }) => ({
    inputs: {
      table: { shape: [V, D] },
      ids: u32([L], (i) => (i * 7) % 5),
      groups: grouped(L, (i) => (i * 7) % 5),
    },
    run: ({ table, ids, groups }) => embedding(table, ids, groups),
  })),
  ...sized('embedding', 'the sum of L of [V,D] and of [T,D]', { L: 6, V: 5, T: 4, D: 8 }, ({ L, V, T, D }) => ({
    inputs: {
      table: { shape: [V, D] },
      positions: { shape: [T, D] },
      ids: u32([L], (i) => (i * 7) % 5),
      groups: grouped(L, (i) => (i * 7) % 5),
      pos: u32([L], (i) => i % 4),
      posGroups: grouped(L, (i) => i % 4),
    },
    run: ({ table, positions, ids, groups, pos, posGroups }) =>
      embeddingSum(table, ids, groups, positions, pos, posGroups, 0.3),
  })),
  ...sized('sparse-matmul', 'S [M,N] · [N,D]', { M: 4, N: 5, D: 8 }, ({ M, N, D }) => ({
    inputs: { x: { shape: [N, D] } },
    prepare: (device) => {
      const count = M === 0 || N === 0 ? 0 : M;
      const starts = Uint32Array.from({ length: M + 1 }, (_, i) => (count === 0 ? 0 : i));
      const columns = Uint32Array.from({ length: count }, (_, i) => i % N);
      return new SparseMatrix(device, { starts, columns, values: new Float32Array(count).fill(2) }, N);
    },
    run: ({ x }, _, s) => sparseMatmul(s as SparseMatrix, x),
  })),
];

/** Tokens in one sequence. */
const bounds = (l: number): Record<'start' | 'end', InputSpec> => ({
  start: u32([l], () => 0),
  end: u32([l], () => l),
});
const badHeads = (op: string) => (n: Sizes) => (n.H === 0 || n.K === 0 || n.K % 4 !== 0) && `${op}: `;
const attentions: Case[] = [
  ...sized(
    'attention',
    'L tokens, H heads of K',
    { L: 5, H: 2, K: 8 },
    ({ L, H, K }) => ({
      inputs: { qkv: { shape: [L, 3 * H * K] }, ...bounds(L) },
      run: ({ qkv, start, end }) => attention(qkv, { start, end }, { heads: H, causal: true }),
    }),
    badHeads('attention'),
  ),
  ...sized(
    'relative-attention',
    'L tokens, H heads of K',
    { L: 5, H: 2, K: 8 },
    ({ L, H, K }) => ({
      inputs: {
        qkv: { shape: [L, 3 * H * K] },
        ...bounds(L),
        bias: { shape: [H, biasWidth({ causal: true, position: true, time: false })] },
      },
      run: ({ qkv, start, end, bias }) =>
        relativeAttention(qkv, { start, end }, bias, { heads: H, causal: true, position: true, times: null }),
    }),
    badHeads('relativeAttention'),
  ),
  ...sized(
    'cross-attention',
    'L queries, M keys, H heads of K',
    { L: 5, M: 7, H: 2, K: 8 },
    ({ L, M, H, K }) => {
      const { start, end, from, to } = crossBounds([0, L], [0, M], L, M);
      return {
        inputs: {
          q: { shape: [L, H * K] },
          kv: { shape: [M, 2 * H * K] },
          start: u32([L], (i) => start[i]),
          end: u32([L], (i) => end[i]),
          from: u32([M], (i) => from[i]),
          to: u32([M], (i) => to[i]),
        },
        run: ({ q, kv, ...where }) =>
          crossAttention(q, kv, where as Record<'start' | 'end' | 'from' | 'to', Tensor>, { heads: H }),
      };
    },
    badHeads('crossAttention'),
  ),
  ...sized(
    'cached-attention',
    'R queries, S shared and C own keys, H heads of K',
    { R: 3, S: 4, C: 2, H: 2, K: 8 },
    ({ R, S, C, H, K }) => ({
      inputs: {
        q: fixed([R, 3 * H * K]),
        kv: fixed([S + R * C, 2 * H * K]),
        start: u32([R], () => 0),
        end: u32([R], () => S),
        own: u32([R, C], (i) => S + i),
        count: u32([R], () => C),
      },
      run: ({ q, kv, ...keys }) => cachedAttention(q, kv, keys as Record<'start' | 'end' | 'own' | 'count', Tensor>, H),
      gradients: false,
    }),
    badHeads('cachedAttention'),
  ),
  ...sized(
    'rotary',
    'L tokens, H heads of K',
    { L: 5, H: 2, K: 8 },
    ({ L, H, K }) => ({
      inputs: {
        qkv: { shape: [L, 3 * H * K] },
        positions: u32([L], (i) => i),
        angles: fixed([9, K], (i) => rotaryAngles(9, K)[i]),
      },
      run: ({ qkv, positions, angles }) => rotary(qkv, positions, angles, H),
    }),
    badHeads('rotary'),
  ),
  ...sized(
    'swiglu',
    '[R,2F]',
    { R: 3, F: 8 },
    ({ R, F }) => ({ inputs: { x: { shape: [R, 2 * F] } }, run: ({ x }) => swiglu(x) }),
    ({ F }) => F % 4 !== 0 && 'swiglu: ',
  ),
  ...sized(
    'gated-recurrence',
    'L tokens of D',
    { L: 5, D: 8 },
    ({ L, D }) => ({
      inputs: { x: { shape: [L, 2 * D] }, start: u32([L], (i) => i - (i % 3)) },
      run: ({ x, start }) => gatedRecurrence(x, start),
    }),
    ({ D }) => D % 4 !== 0 && 'gatedRecurrence: ',
  ),
];

const losses: Case[] = [
  ...sized('bce-with-logits', '[A,B]', { A: 3, B: 5 }, ({ A, B }) => ({
    inputs: { logits: { shape: [A, B] }, targets: fixed([A, B], (i) => i % 2), weights: fixed([A, B], () => 0.5) },
    run: ({ logits, targets, weights }) => bceWithLogits(logits, targets, weights),
  })),
  ...sized(
    'cross-entropy',
    'L states of D, V items',
    { L: 5, D: 8, V: 7 },
    ({ L, D, V }) => ({
      inputs: {
        x: { shape: [L, D] },
        table: { shape: [V, D] },
        targets: u32([L], (i) => (V === 0 ? 0 : (i * 3) % V)),
        weights: fixed([L], () => 0.5),
      },
      run: ({ x, table, targets, weights }) => crossEntropy(x, table, targets, weights),
    }),
    ({ V, D }) => (V === 0 || D === 0) && 'crossEntropy: ',
  ),
  ...(['softmax', 'bce', 'bpr'] as const).flatMap((kind) =>
    sized(
      'sampled-loss',
      `${kind}, G lists of N for S positions each`,
      { G: 2, S: 3, N: 4 },
      ({ G, S, N }) => ({
        inputs: {
          pos: { shape: [G * S] },
          neg: { shape: [G * S, N] },
          targets: u32([G * S], (i) => i % 7),
          negatives: u32([G, N], (i) => (i * 3) % 7),
          weights: fixed([G * S], () => 0.5),
        },
        run: ({ pos, neg, targets, negatives, weights }) =>
          sampledLoss(pos, neg, targets, negatives, weights, { kind }),
      }),
      ({ N, G }) => (N === 0 || G === 0) && 'sampledLoss: ',
    ),
  ),
  ...sized(
    'mixture-of-logits',
    'L states, G lists of N, U × X components of D, a gate of H',
    { L: 4, G: 2, N: 3, U: 2, X: 4, D: 4, H: 4 },
    ({ L, G, N, U, X, D, H }) => ({
      inputs: {
        users: { shape: [L, U, D] },
        items: { shape: [G, N, X, D] },
        userGate: { shape: [L, U * X] },
        itemGate: { shape: [G, N, U * X] },
        up: { shape: [U * X, H] },
        bias: { shape: [H] },
        down: { shape: [H, U * X] },
      },
      run: (t) => mixtureOfLogits(t as unknown as Mixture, { scale: 2 }),
    }),
    ({ L, G, U, X, D, H }) =>
      (U * X * D * H === 0 || L % G !== 0 || D % 4 !== 0 || H % 4 !== 0 || X % 4 !== 0) && 'mixtureOfLogits: ',
  ),
];

export const layerSizes: Case[] = [...norms, ...lookups, ...attentions, ...losses];
