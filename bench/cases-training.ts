/**
 * The bench's cases that differentiate. Forward and backward are timed together (one cannot be had without the other),
 * and counted together.
 */
import {
  AdamW,
  attention,
  crossEntropy,
  type Device,
  embedding,
  groupRows,
  layernorm,
  matmul,
  mean,
  mul,
  ParameterArena,
  sub,
  type Tensor,
} from '../engine/index.ts';
import { type BenchCase, pseudo, type Stock } from './case.ts';
import { D, F, ids, L, sequences, T, V } from './shapes.ts';

/** Runs an op and the backward pass from a given gradient of its output. */
const withBackward = (device: Device, op: () => Tensor, gradient: Tensor): void => {
  device.tape.backwardFrom(op(), () => gradient);
};

/** AdamW over these parameters, ready for its first step. */
function optimizer(stock: Stock, shapes: Record<string, number[]>): { parameters: ParameterArena; adamw: AdamW } {
  const specs = Object.entries(shapes).map(([name, shape]) => ({ name, shape, decay: true, init: pseudo(shape) }));
  const parameters = stock.own(new ParameterArena(stock.device, specs));
  const options = { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.01, clip: 1 };
  const adamw = stock.own(new AdamW(parameters, options));
  adamw.prepare({ seed: 1, step: 1, learningRate: 1e-4, dropout: false });
  return { parameters, adamw };
}

export const trainingCases: readonly BenchCase[] = [
  {
    name: 'weight-gradient', // xᵀ · dy, a tall and narrow product
    sizes: [4 * L, L / 16],
    make: (stock, rows) => {
      const [x, dy] = [stock.f32(rows, D), stock.f32(rows, F)];
      return () => void matmul(x, dy, { transA: true });
    },
    flop: (rows) => 2 * rows * D * F,
    bytes: (rows) => 4 * (rows * (D + F) + D * F),
  },
  {
    name: 'layernorm-bwd',
    sizes: [4 * L, L / 4],
    make: (stock, rows) => {
      const [x, w, b, dy] = [stock.leaf(rows, D), stock.leaf(D), stock.leaf(D), stock.f32(rows, D)];
      return () => withBackward(stock.device, () => layernorm(x, w, b), dy);
    },
    flop: (rows) => 22 * rows * D,
    bytes: (rows) => 4 * 6 * rows * D, // x, y; x, dy, dx added to
  },
  {
    name: 'attention-bwd', // 32 sequences, 2 heads of 32; seven products of which two are the forward's
    sizes: [L, 2 * T],
    make: (stock, rows) => {
      const [qkv, dy] = [stock.leaf(rows, 3 * D), stock.f32(rows, D)];
      const bounds = sequences(stock, rows);
      return () => withBackward(stock.device, () => attention(qkv, bounds, { heads: 2, causal: true }), dy);
    },
    flop: (rows) => 7 * rows * (T + 1) * D,
    bytes: (rows) => 4 * 15 * rows * D, // qkv, o; qkv, o, do, dqkv added to
  },
  {
    name: 'embedding-bwd',
    sizes: [L, L / 4],
    make: (stock, rows) => {
      const list = ids(rows);
      const [table, dy] = [stock.leaf(V, D), stock.f32(rows, D)];
      const [at, groups] = [stock.of(list), stock.of(groupRows(list, rows, rows).data)];
      return () => withBackward(stock.device, () => embedding(table, at, groups), dy);
    },
    flop: (rows) => rows * D,
    bytes: (rows) => 12 * rows * D + 8 * Math.min(V, rows) * D,
  },
  {
    name: 'cross-entropy', // over the whole catalog; three products
    sizes: [L, L / 64],
    make: (stock, rows) => {
      const [x, table] = [stock.leaf(rows, D), stock.leaf(V, D)];
      const targets = stock.of(ids(rows));
      const weights = stock.of(new Float32Array(rows).fill(1 / rows));
      return () => crossEntropy(x, table, targets, weights).backward();
    },
    flop: (rows) => 6 * rows * D * V,
    bytes: (rows) => 4 * 3 * (rows + V) * D,
  },
  {
    name: 'adamw', // with the norm of the gradient, clipping and zeroing
    sizes: [1_000_000, 250_000],
    make: (stock, n) => {
      const { adamw } = optimizer(stock, { w: [n] });
      const loss = stock.f32(1);
      return () => adamw.step(loss);
    },
    flop: (n) => 18 * n,
    bytes: (n) => 4 * 9 * n,
  },
  {
    name: 'train', // a step of a 64 → 256 → 64 network under a mean squared error: forward, backward, AdamW
    sizes: [4 * L, L / 16],
    make: (stock, rows) => {
      const [x, y] = [stock.f32(rows, D), stock.f32(rows, D)];
      const { parameters, adamw } = optimizer(stock, { w1: [D, F], b1: [F], w2: [F, D], b2: [D] });
      const p = (name: string) => parameters.get(name);
      return () => {
        const hidden = matmul(x, p('w1'), { bias: p('b1'), activation: 'relu' });
        const error = sub(matmul(hidden, p('w2'), { bias: p('b2') }), y);
        const loss = mean(mul(error, error));
        loss.backward();
        adamw.step(loss);
      };
    },
    flop: (rows) => 10 * rows * D * F, // five products
    bytes: (rows) => 4 * rows * (4 * D + 5 * F), // x, y, and the hidden layer and its gradient between the products
  },
];
