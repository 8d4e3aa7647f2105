/** What `npm run bench` times: one op each, at the sizes of training on MovieLens 1M, and what it costs in FLOP and bytes. */
import {
  addLayernorm,
  attention,
  crossEntropy,
  type Device,
  dropout,
  embedding,
  gelu,
  groupRows,
  layernorm,
  matmul,
  softmax,
  type Tensor,
} from '../engine/index.ts';

export interface BenchCase {
  name: string;
  /** What runs once; the tensors of `make` are its arguments. */
  run(t: Record<string, Tensor>, device: Device): void;
  make(device: Device): Record<string, Tensor>;
  flop: number;
  bytes: number;
  /** Sizes of the same case for the CPU reference, as a divisor of the work (naive loops are slow). */
  reference(device: Device): { tensors: Record<string, Tensor>; share: number };
}

const pseudo = (n: number, seed = 1): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin((i + 1) * 12.9898 * seed) * 0.5);
const f32 = (d: Device, ...shape: number[]): Tensor => d.tensor(pseudo(shape.reduce((a, b) => a * b, 1)), shape);

/** Tokens of a batch as the recipe trains it, and its widths. */
const L = 6400;
const D = 64;
const F = 256;
const V = 3416;
const T = 200;

interface Sized {
  name: string;
  /** Rows of the full case and of the reference's. */
  rows: [number, number];
  make(d: Device, rows: number): Record<string, Tensor>;
  run: BenchCase['run'];
  flop(rows: number): number;
  bytes(rows: number): number;
}

const sized = ({ name, rows: [full, small], make, run, flop, bytes }: Sized): BenchCase => ({
  name,
  run,
  make: (d) => make(d, full),
  flop: flop(full),
  bytes: bytes(full),
  reference: (d) => ({ tensors: make(d, small), share: flop(small) / flop(full) }),
});

const product = (name: string, rows: [number, number], k: number, n: number, transB = false): BenchCase =>
  sized({
    name,
    rows,
    make: (d, m) => ({ a: f32(d, m, k), b: transB ? f32(d, n, k) : f32(d, k, n) }),
    run: ({ a, b }) => void matmul(a, b, { transB }),
    flop: (m) => 2 * m * k * n,
    bytes: (m) => 4 * (m * k + k * n + m * n),
  });

/** Sequences of T tokens laid end to end. */
function bounds(d: Device, rows: number): { start: Tensor; end: Tensor } {
  const start = Uint32Array.from({ length: rows }, (_, i) => Math.floor(i / T) * T);
  return { start: d.tensor(start), end: d.tensor(start.map((s) => Math.min(rows, s + T))) };
}

const elementwise = (name: string, n: number, run: BenchCase['run'], flopEach: number): BenchCase =>
  sized({
    name,
    rows: [n, n / 16],
    make: (d, rows) => ({ x: f32(d, rows, F) }),
    run,
    flop: (rows) => flopEach * rows * F,
    bytes: (rows) => 8 * rows * F,
  });

export const benchCases: readonly BenchCase[] = [
  product('sq512', [512, 128], 512, 512),
  product('proj', [4 * L, L / 16], D, D),
  product('ffn1', [4 * L, L / 16], D, F),
  product('ffn2', [4 * L, L / 16], F, D),
  product('logits', [L, L / 64], D, V, true),
  sized({
    name: 'softmax',
    rows: [12800, 800],
    make: (d, rows) => ({ x: f32(d, rows, T) }),
    run: ({ x }) => void softmax(x),
    flop: (rows) => 5 * rows * T,
    bytes: (rows) => 8 * rows * T,
  }),
  sized({
    name: 'layernorm',
    rows: [4 * L, L / 4],
    make: (d, rows) => ({ x: f32(d, rows, D), w: f32(d, D), b: f32(d, D) }),
    run: ({ x, w, b }) => void layernorm(x, w, b),
    flop: (rows) => 8 * rows * D,
    bytes: (rows) => 8 * rows * D,
  }),
  sized({
    name: 'add-layernorm',
    rows: [4 * L, L / 4],
    make: (d, rows) => ({ x: f32(d, rows, D), r: f32(d, rows, D), w: f32(d, D), b: f32(d, D) }),
    run: ({ x, r, w, b }) => void addLayernorm(x, r, w, b),
    flop: (rows) => 9 * rows * D,
    bytes: (rows) => 16 * rows * D,
  }),
  sized({
    name: 'attention',
    rows: [L, 2 * T],
    make: (d, rows) => ({ qkv: f32(d, rows, 3 * D), ...bounds(d, rows) }),
    run: ({ qkv, start, end }) => void attention(qkv, { start, end }, { heads: 2, causal: true }),
    flop: (rows) => 2 * rows * (T + 1) * D,
    bytes: (rows) => 16 * rows * D,
  }),
  elementwise('gelu', L, ({ x }) => void gelu(x), 12),
  elementwise('dropout', L, ({ x }) => void dropout(x, 0.2), 60),
  sized({
    name: 'embedding',
    rows: [L, L / 4],
    make: (d, rows) => {
      const ids = Uint32Array.from({ length: rows }, (_, i) => (i * 7919) % V);
      return { table: f32(d, V, D), ids: d.tensor(ids), groups: d.tensor(groupRows(ids, rows, rows).data) };
    },
    run: ({ table, ids, groups }) => void embedding(table, ids, groups),
    flop: (rows) => rows * D,
    bytes: (rows) => 8 * rows * D,
  }),
  sized({
    name: 'cross-entropy',
    rows: [L, L / 64],
    make: (d, rows) => ({
      x: d.tensor(pseudo(rows * D), [rows, D], { requiresGrad: true }),
      table: d.tensor(pseudo(V * D, 2), [V, D], { requiresGrad: true }),
      targets: d.tensor(Uint32Array.from({ length: rows }, (_, i) => (i * 7919) % V)),
      weights: d.tensor(new Float32Array(rows).fill(1 / rows)),
    }),
    run: ({ x, table, targets, weights }) => void crossEntropy(x, table, targets, weights),
    flop: (rows) => 6 * rows * D * V,
    bytes: (rows) => 8 * (rows + V) * D,
  }),
];
