/**
 * Which kernels run in WebAssembly, by the names that ops give them: the function of kernels/wasm/index.ts and its
 * arguments, from addresses and parameters. `takes` leaves the rest to the reference: dropout, and what only a backward pass
 * asks for. Definitions: engine/ops/*.ref.ts.
 */
import type { Params } from '../kernel.ts';
import { DROPOUT, RESIDUAL } from '../ops/layernorm.ref.ts';
import { FLAG } from '../ops/matmul.ref.ts';

/** Where each tensor of a dispatch lies, in bytes; 0 stands for none. */
export type Addresses = Record<string, number>;

interface WasmKernel {
  /** Of kernels/wasm/index.ts. */
  name: string;
  takes?(p: Params): boolean;
  args(at: Addresses, p: Params): number[];
  /** Bytes of `at.scratch`, which holds nothing between dispatches. */
  scratch?(p: Params): number;
}

/** What the matrix product leaves to the reference. */
const BACKWARD = FLAG.COLUMN_SUMS | FLAG.SLOPE | FLAG.DROPOUT;

export const KERNELS: Partial<Record<string, WasmKernel>> = {
  matmul: {
    name: 'matmul',
    takes: (p) => (p.flags & BACKWARD) === 0 && !(p.transA && p.transB),
    args: (at, p) => [
      ...[at.a, at.b, at.c, at.bias, at.z, at.residual],
      ...[p.batch, p.sa, p.sb, p.sc, p.m, p.n, p.k],
      ...(p.transA ? [1, p.lda] : [p.lda, 1]),
      ...[p.ldb, p.ldc, p.transB, p.flags, p.act],
    ],
  },
  attention_fwd: {
    name: 'attention',
    takes: (p) => !p.dropout,
    args({ kv, ...at }, p) {
      const keys = kv + 16 * p.k_col;
      return [
        ...[at.q, keys, keys + 4 * p.heads * p.k, at.start, at.end, at.o, at.stats, at.scratch],
        ...[p.l, p.m, p.heads, p.k, 4 * p.q_row, 4 * p.kv_row, p.scale, p.causal],
      ];
    },
    scratch: (p) => 4 * (p.m + 4),
  },
  layernorm_fwd: {
    name: 'layernorm',
    takes: (p) => (p.flags & DROPOUT) === 0,
    args: (at, p) => [
      ...[at.x, at.r, at.weight, at.bias, at.sum, at.norm],
      ...[p.rows, p.d, p.eps, p.flags & RESIDUAL],
    ],
  },
  embedding_fwd: {
    name: 'embedding',
    takes: (p) => !p.dropout,
    args: (at, p) => [
      ...[at.table, at.ids, p.two ? at.second : 0, at.ids2, at.x],
      ...[p.rows, p.d, p.v, p.first, p.only, p.v2],
    ],
  },
  fill: { name: 'fill', args: (at, p) => [at.x, p.n, p.value] },
  scale: { name: 'scale', takes: (p) => !p.acc, args: (at, p) => [at.x, at.y, p.n, p.factor] },
  binary_fwd: {
    name: 'binary',
    takes: (p) => p.op >= 0,
    args: (at, p) => [at.a, at.b, at.y, p.n, p.na, p.nb, p.op],
  },
  unary_fwd: { name: 'unary', takes: (p) => p.op >= 0, args: (at, p) => [at.x, at.y, p.n, p.op] },
  swiglu_fwd: { name: 'swiglu', args: (at, p) => [at.x, at.y, 4 * p.n, p.f] },
  gather: {
    name: 'gather',
    takes: (p) => p.outer === 1,
    args: (at, p) => [at.x, at.ids, at.y, p.n, p.rows, p.cols],
  },
  copy_block: {
    name: 'block',
    takes: (p) => !p.acc,
    args: (at, p) => [
      ...[at.x + 4 * p.from_offset, at.y + 4 * p.to_offset],
      ...[p.rows, p.cols, p.from_stride, p.to_stride],
    ],
  },
  sparse_scores: {
    name: 'sparseScores',
    args: (at, p) => [
      ...[at.starts, at.columns, at.values, at.offsets, at.items, at.weights, at.out],
      ...[p.rows, p.v, p.first, p.row_first, p.row_count, p.longest, p.capacity, p.entries, p.start],
    ],
  },
  row_moments: { name: 'rowMoments', args: (at, p) => [at.scores, at.moments, p.rows, p.v, p.start] },
  log_blend: {
    name: 'logBlend',
    args: (at, p) => [at.scores, at.more, at.moments, at.weights, p.rows, p.v, p.keep],
  },
  mask_seen: {
    name: 'maskSeen',
    args: (at, p) => [at.offsets, at.items, at.scores, p.rows, p.v, p.first, p.capacity],
  },
  rank_of: { name: 'rankOf', args: (at, p) => [at.scores, at.targets, at.ranks, p.rows, p.v] },
  packed_rows: {
    name: 'packedRows',
    args: (at, p) => [
      ...[at.words, at.scales, p.listed ? at.ids : 0, at.x],
      ...[p.rows, p.d, p.v, p.first, p.only, p.from_row, p.bits],
    ],
  },
  packed_scores: {
    name: 'packedScores',
    args: (at, p) => [at.a, at.words, at.scales, at.c, at.scratch, p.r, p.n, p.d, p.row, p.ldc, p.bits],
    scratch: (p) => 4 * 64 * p.d,
  },
  packed_norms: {
    name: 'packedNorms',
    args: (at, p) => [at.words, at.scales, at.y, p.v, p.d, p.bits],
  },
  topk: {
    name: 'topk',
    args: (at, p) => [
      ...[at.scores, p.listed ? at.candidates : 0, p.has_targets ? at.targets : 0, at.values, at.indices],
      ...[p.rows, p.v, p.parts, p.width, p.first, p.k],
    ],
  },
};
