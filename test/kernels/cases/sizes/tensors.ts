/** Sizes 0 and 1 of elementwise ops, reductions, products and reshaping. */
import {
  add,
  concat,
  copy,
  div,
  dropout,
  exp,
  expand,
  fill,
  gather,
  gelu,
  log,
  logsumexp,
  matmul,
  max,
  maximum,
  mean,
  min,
  minimum,
  mul,
  permute,
  pow,
  prod,
  relu,
  scale,
  scatterAdd,
  sigmoid,
  silu,
  slice,
  softmax,
  sub,
  sum,
  tanh,
  type Tensor,
  transpose,
  where,
} from '../../../../engine/index.ts';
import type { Case } from '../../harness.ts';
import { away, fixed, sized, u32 } from './sized.ts';

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

const broadcasts = [
  ...Object.entries({ add, sub, mul, div, pow, minimum, maximum }).flatMap(([op, f]) =>
    sized(op, '[A,1,C] and [B,1]', { A: 3, B: 2, C: 5 }, ({ A, B, C }) => ({
      inputs: { a: { shape: [A, 1, C], value: away }, b: { shape: [B, 1], value: away } },
      run: ({ a, b }) => f(a, b),
    })),
  ),
  ...sized('where', '[A,1], [B] and a scalar', { A: 3, B: 5 }, ({ A, B }) => ({
    inputs: { condition: u32([A, 1], (i) => i % 2), a: { shape: [B] }, b: { shape: [] } },
    run: ({ condition, a, b }) => where(condition, a, b),
  })),
  ...sized('expand', '[A,1,C] to [A,B,C]', { A: 3, B: 2, C: 5 }, ({ A, B, C }) => ({
    inputs: { x: { shape: [A, 1, C] } },
    run: ({ x }) => expand(x, [A, B, C]),
  })),
  ...sized('permute', '[A,B,C]', { A: 3, B: 2, C: 5 }, ({ A, B, C }) => ({
    inputs: { x: { shape: [A, B, C] } },
    run: ({ x }) => permute(x, [2, 0, 1]),
  })),
  ...sized('scatterAdd', 'n rows of [n,C] to R', { R: 3, C: 4, n: 5 }, ({ R, C, n }) => ({
    inputs: { x: { shape: [n, C] }, ids: u32([n], (i) => (i * 7) % 4) },
    run: ({ x, ids }) => scatterAdd(x, ids, R),
  })),
];

const middles = Object.entries({ sum, mean, max, min, prod, logsumexp }).flatMap(([op, f]) =>
  sized(
    op,
    '[A,B,C] over B',
    { A: 3, B: 2, C: 5 },
    ({ A, B, C }) => ({ inputs: { x: { shape: [A, B, C], value: away } }, run: ({ x }) => f(x, 1) }),
    ({ B }) => !['sum', 'prod'].includes(op) && B === 0 && 'expected at least one element',
  ),
);

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

export const tensorSizes: Case[] = [
  ...elementwise,
  ...binaries,
  ...broadcasts,
  ...middles,
  ...reductions,
  ...products,
  ...shapes,
];
