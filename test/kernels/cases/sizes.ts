/** Sizes 0 and 1 on every axis of every op: each axis by itself, and all of them at 1. What an op cannot take it refuses. */
import {
  add,
  adamwStep,
  addLayernorm,
  attention,
  bceWithLogits,
  biasWidth,
  cachedAttention,
  concat,
  copy,
  crossAttention,
  crossBounds,
  crossEntropy,
  div,
  dropout,
  embedding,
  embeddingSum,
  exp,
  fill,
  gather,
  gelu,
  layernorm,
  log,
  logBlend,
  matmul,
  max,
  mean,
  type Mixture,
  mixtureOfLogits,
  mul,
  normalize,
  rmsnorm,
  rankOf,
  rankTiles,
  relativeAttention,
  relu,
  rotary,
  rotaryAngles,
  rowDot,
  rowMoments,
  sampledLoss,
  scale,
  sigmoid,
  silu,
  slice,
  softmax,
  SparseMatrix,
  sparseMatmul,
  sparseScores,
  sub,
  sum,
  swiglu,
  tableScores,
  type Tensor,
  tanh,
  topk,
  transpose,
} from '../../../engine/index.ts';
import { BETAS, RATE, STATUS } from './adamw.ts';
import { grouped } from './embedding.ts';
import type { Case, InputSpec } from '../harness.ts';

type Sizes = Record<string, number>;
type Row = Omit<Case, 'op' | 'name'>;

/** The cases of an op whose axes have these sizes unless they are 0 or 1; `refused` says which are refused, and how. */
function sized(
  op: string,
  what: string,
  axes: Sizes,
  make: (n: Sizes) => Row,
  refused: (n: Sizes) => string | false | undefined = () => undefined,
): Case[] {
  const names = Object.keys(axes);
  const all = Object.fromEntries(names.map((name) => [name, 1]));
  const sizes = [...names.flatMap((name) => [0, 1].map((n) => ({ ...axes, [name]: n }))), all];
  const cases = sizes.map((n): Case => {
    const name = `sizes of ${what}: ${names.map((axis) => `${axis} ${n[axis]}`).join(', ')}`;
    return { op, name, tolerance: { abs: 2e-5, rel: 1e-4 }, ...make(n), refused: refused(n) || undefined };
  });
  return cases.filter((c, i) => cases.findIndex((other) => other.name === c.name) === i);
}

const u32 = (shape: number[], value: (i: number) => number): InputSpec => ({ shape, dtype: 'u32', value });
const fixed = (shape: number[], value?: InputSpec['value']): InputSpec => ({ shape, grad: false, value });
const away = (_: number, normal: () => number): number => Math.exp(0.5 * normal());

const unaries: Record<string, (x: Tensor) => Tensor> = {
  copy,
  exp,
  gelu,
  log,
  relu,
  sigmoid,
  silu,
  tanh,
  dropout: (x) => dropout(x, 0.25),
  scale: (x) => scale(x, -2),
};
const elementwise = Object.entries(unaries).flatMap(([op, f]) =>
  sized(op, '[A,B]', { A: 3, B: 5 }, ({ A, B }) => ({
    inputs: { x: { shape: [A, B], value: away } },
    run: ({ x }) => f(x),
  })),
);

const binaries = Object.entries({ add, sub, mul, div }).flatMap(([op, f]) => [
  ...sized(op, '[A,B] and its rows', { A: 3, B: 5 }, ({ A, B }) => ({
    inputs: { a: { shape: [A, B] }, b: { shape: [B], value: away } },
    run: ({ a, b }) => f(a, b),
  })),
  ...sized(op, '[A,B] and a scalar', { A: 3, B: 5 }, ({ A, B }) => ({
    inputs: { a: { shape: [A, B] }, b: { shape: [], value: away } },
    run: ({ a, b }) => f(a, b),
  })),
]);

const reductions = Object.entries({ sum, mean, max }).flatMap(([op, f]) =>
  (['all', 'last'] as const).flatMap((over) =>
    sized(
      op,
      `[A,B], ${over}`,
      { A: 3, B: 5 },
      ({ A, B }) => ({ inputs: { x: { shape: [A, B] } }, run: ({ x }) => f(x, over) }),
      ({ A, B }) => op !== 'sum' && (over === 'all' ? A * B === 0 : B === 0) && `${op}: `,
    ),
  ),
);

const flags = [false, true];
const products = flags.flatMap((transA) =>
  flags.flatMap((transB) => [
    ...sized(
      'matmul',
      `[M,K] · [K,N]${transA ? ', transA' : ''}${transB ? ', transB' : ''}`,
      { M: 4, K: 8, N: 12 },
      ({ M, K, N }) => ({
        inputs: {
          a: { shape: transA ? [K, M] : [M, K] },
          b: { shape: transB ? [N, K] : [K, N] },
          bias: { shape: [N] },
        },
        run: ({ a, b, bias }) => matmul(a, b, { transA, transB, bias }),
      }),
    ),
    ...sized(
      'matmul',
      `a batch${transA ? ', transA' : ''}${transB ? ', transB' : ''}`,
      { B: 2, M: 4, K: 8, N: 12 },
      ({ B, M, K, N }) => ({
        inputs: { a: { shape: [B, ...(transA ? [K, M] : [M, K])] }, b: { shape: [B, ...(transB ? [N, K] : [K, N])] } },
        run: ({ a, b }) => matmul(a, b, { transA, transB }),
      }),
    ),
  ]),
);

const shapes: Case[] = [
  ...sized('transpose', '[A,M,N]', { A: 2, M: 4, N: 8 }, ({ A, M, N }) => ({
    inputs: { x: { shape: [A, M, N] } },
    run: ({ x }) => transpose(x),
  })),
  ...[0, -1].flatMap((axis) =>
    sized('concat', `[A,B] and [C,D] along ${axis}`, { A: 3, B: 4, C: 2 }, ({ A, B, C }) => ({
      inputs: { x: { shape: [A, B] }, y: { shape: axis === 0 ? [C, B] : [A, C] } },
      run: ({ x, y }) => concat([x, y], axis),
    })),
  ),
  ...[0, -1].flatMap((axis) =>
    sized('slice', `n of [A,B] along ${axis}`, { A: 3, B: 4, n: 2 }, ({ A, B, n }) => ({
      inputs: { x: { shape: [A, B] } },
      run: ({ x }) => slice(x, axis, 0, Math.min(n, axis === 0 ? A : B)),
    })),
  ),
  ...sized('softmax', '[R,C]', { R: 3, C: 8 }, ({ R, C }) => ({
    inputs: { x: { shape: [R, C] } },
    run: ({ x }) => softmax(x),
  })),
  ...sized('gather', 'n rows of [R,C]', { R: 5, C: 4, n: 3 }, ({ R, C, n }) => ({
    inputs: { x: fixed([R, C]), ids: u32([R === 0 ? 0 : n], (i) => (i * 7) % R) },
    run: ({ x, ids }) => gather(x, ids),
    gradients: false,
  })),
  ...sized('fill', '[A,B]', { A: 3, B: 5 }, ({ A, B }) => ({
    inputs: {},
    run: (_, device) => {
      const x = device.empty([A, B]);
      fill(x, 3);
      return x;
    },
    gradients: false,
  })),
];

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

const inference: Case[] = [
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

export const sizeCases: Case[] = [
  ...elementwise,
  ...binaries,
  ...reductions,
  ...products,
  ...shapes,
  ...norms,
  ...lookups,
  ...attentions,
  ...losses,
  ...inference,
];
