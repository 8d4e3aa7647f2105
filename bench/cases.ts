/** What `npm run bench` times: one op each, at the sizes of training on MovieLens 1M, and what it costs in FLOP and bytes. */
import {
  addLayernorm,
  attention,
  dropout,
  embedding,
  gelu,
  layernorm,
  matmul,
  softmax,
  type Tensor,
  topk,
} from '../engine/index.ts';
import type { BenchCase, Stock } from './case.ts';
import { trainingCases } from './cases-training.ts';
import { D, F, ids, L, sequences, T, V } from './shapes.ts';

export const product = (name: string, sizes: BenchCase['sizes'], k: number, n: number, transB = false): BenchCase => ({
  name,
  sizes,
  make: (stock, m) => {
    const a = stock.f32(m, k);
    const b = transB ? stock.f32(n, k) : stock.f32(k, n);
    return () => void matmul(a, b, { transB });
  },
  flop: (m) => 2 * m * k * n,
  bytes: (m) => 4 * (m * k + k * n + m * n),
});

const elementwise = (name: string, op: (x: Tensor) => Tensor, flop: number): BenchCase => ({
  name,
  sizes: [L, L / 16],
  make: (stock, rows) => {
    const x = stock.f32(rows, F);
    return () => void op(x);
  },
  flop: (rows) => flop * rows * F,
  bytes: (rows) => 8 * rows * F,
});

const dropoutCase: BenchCase = {
  ...elementwise('dropout', (x) => x, 60), // threefry's integer operations count here
  make: (stock, rows) => {
    stock.device.setState(Uint32Array.of(1, 1, 0, 0, 0, 1, ...new Uint32Array(10))); // word 5: dropout is on
    const x = stock.f32(rows, F);
    return () => void dropout(x, 0.2);
  },
};

const forwardCases: readonly BenchCase[] = [
  product('sq512', [512, 128], 512, 512),
  product('proj', [4 * L, L / 16], D, D),
  product('ffn1', [4 * L, L / 16], D, F),
  product('ffn2', [4 * L, L / 16], F, D),
  product('logits', [L, L / 64], D, V, true),
  {
    name: 'softmax',
    sizes: [12800, 800],
    make: (stock, rows) => {
      const x = stock.f32(rows, T);
      return () => void softmax(x);
    },
    flop: (rows) => 5 * rows * T,
    bytes: (rows) => 8 * rows * T,
  },
  {
    name: 'layernorm',
    sizes: [4 * L, L / 4],
    make: (stock, rows) => {
      const [x, w, b] = [stock.f32(rows, D), stock.f32(D), stock.f32(D)];
      return () => void layernorm(x, w, b);
    },
    flop: (rows) => 8 * rows * D,
    bytes: (rows) => 8 * rows * D,
  },
  {
    name: 'add-layernorm',
    sizes: [4 * L, L / 4],
    make: (stock, rows) => {
      const [x, r, w, b] = [stock.f32(rows, D), stock.f32(rows, D), stock.f32(D), stock.f32(D)];
      return () => void addLayernorm(x, r, w, b);
    },
    flop: (rows) => 9 * rows * D,
    bytes: (rows) => 16 * rows * D,
  },
  {
    name: 'attention', // 32 sequences, 2 heads of 32
    sizes: [L, 2 * T],
    make: (stock, rows) => {
      const qkv = stock.f32(rows, 3 * D);
      const bounds = sequences(stock, rows);
      return () => void attention(qkv, bounds, { heads: 2, causal: true });
    },
    flop: (rows) => 2 * rows * (T + 1) * D,
    bytes: (rows) => 16 * rows * D,
  },
  elementwise('gelu', gelu, 12),
  dropoutCase,
  {
    name: 'embedding',
    sizes: [L, L / 4],
    make: (stock, rows) => {
      const table = stock.f32(V, D);
      const at = stock.of(ids(rows));
      return () => void embedding(table, at);
    },
    flop: () => 0,
    bytes: (rows) => 8 * rows * D,
  },
  {
    name: 'topk', // the best 100 of a million scores, one user
    sizes: [1_000_000, 100_000],
    make: (stock: Stock, scores) => {
      const x = stock.f32(1, scores);
      return () => void topk(x, 100);
    },
    flop: () => 0,
    bytes: (scores) => 4 * scores,
  },
];

export const benchCases: readonly BenchCase[] = [...forwardCases, ...trainingCases];
