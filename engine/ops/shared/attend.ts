/**
 * What attention and crossAttention share: multi-head attention over packed segments, fused as in FlashAttention-2 (Dao
 * 2023, algorithms 1 and 2): online softmax in the forward, which saves only the logsumexp; probabilities are computed
 * again in the backward. Memory grows with the tokens, never with a segment's length squared.
 */
import { gradOf, into } from '../../autograd.ts';
import type { Reference } from '../../reference.ts';
import { groups, type Kernel, kernel, lanes4, lanes8, type Params, type Variant } from '../../kernel.ts';
import { showShape, type Tensor } from '../../tensor.ts';

/** For subgroups of 8 lanes and heads of 32 or 64: rows stay in the nearest cache while the other side's walk past. */
const panel = (name: string, of: 'l' | 'm'): Variant => ({
  file: `${name}_panel`,
  requires: lanes8,
  accepts: (p) => p.k === 32 || p.k === 64,
  grid: (p) => [groups(p[of], 32), p.heads, 1],
  constants: (p) => ({ K: p.k, DROPOUT: p.dropout === 1 }),
});

/** Fast variants for subgroups of 8 lanes (`rows` a workgroup) and of 4 (8 rows), and one that runs anywhere (64 rows a workgroup). */
const tiled = (name: string, rows: number, of: 'l' | 'm', ...before: readonly Variant[]): Kernel =>
  kernel(name, [
    ...before,
    {
      file: `${name}_sg8`,
      requires: lanes8,
      accepts: (p) => p.k % 32 === 0,
      grid: (p) => [groups(p[of], rows), p.heads, 1],
      constants: (p) => ({ K: p.k, DROPOUT: p.dropout === 1 }),
    },
    {
      file: `${name}_sg4`,
      requires: lanes4,
      accepts: (p) => p.k % 16 === 0 && p.k <= 64,
      grid: (p) => [groups(p[of], 8), p.heads, 1],
      constants: (p) => ({ K: p.k, DROPOUT: p.dropout === 1 }),
    },
    { file: `${name}_tile`, grid: (p) => [groups(p[of], 64), p.heads, 1], constants: (p) => ({ K: p.k }) },
  ]);

const FORWARD = tiled('attention_fwd', 16, 'l');
const BACKWARD_Q = tiled('attention_bwd_dq', 8, 'l', panel('attention_bwd_dq', 'l'));
const BACKWARD_KV = tiled('attention_bwd_dkv', 8, 'm', panel('attention_bwd_dkv', 'm'));
const DELTA = kernel('attention_bwd_delta', [
  { file: 'attention_bwd_delta', grid: (p) => groups(p.l * p.heads, 64), constants: (p) => ({ K: p.k }) },
]);

/** The naive loops of the four kernels. */
export interface AttentionReferences {
  forward: Reference;
  delta: Reference;
  backwardQ: Reference;
  backwardKV: Reference;
}

export interface Attended {
  /** q [L, D], or qkv [L, 3D]. */
  q: Tensor;
  /** k and v side by side [M, 2D], or the same qkv. */
  kv: Tensor;
  /** The keys [start, end) of each query, u32 [L]. */
  start: Tensor;
  end: Tensor;
  /** The queries [from, to) of each key, u32 [M]. */
  from: Tensor;
  to: Tensor;
  heads: number;
  causal: boolean;
  dropout: number;
}

/** Highest numbers of tokens and heads that the counters of dropout tell apart. */
const MAX_TOKENS = 65536;
const MAX_HEADS = 64;

/** softmax(Q Kᵀ / √K) V, [L, D], of operands that `checkHeads` and `checkBounds` have seen. */
export function attend(name: string, refs: AttentionReferences, attended: Attended): Tensor {
  const { q, kv, start, end, from, to, heads, causal, dropout } = attended;
  const { device } = q;
  const self = q === kv;
  const [l, columns] = q.shape;
  const d = self ? columns / 3 : columns;
  const params: Params = {
    l,
    m: kv.shape[0],
    heads,
    k: d / heads,
    // In vec4: from one row to the next, and where k begins; v stands D columns further on.
    q_row: columns / 4,
    kv_row: kv.shape[1] / 4,
    k_col: self ? d / 4 : 0,
    scale: 1 / Math.sqrt(d / heads),
    causal: causal ? 1 : 0,
    dropout: dropout > 0 ? 1 : 0,
    threshold: Math.floor(dropout * 2 ** 32),
    keep_scale: 1 / (1 - dropout),
    stream: (2 ** 31 + device.opCounter++ * MAX_HEADS) >>> 0,
    acc: 0,
  };
  const state = dropout > 0 ? device.state : null;
  const o = device.empty([l, d], 'f32', name);
  const stats = device.empty([heads, l, 2], 'f32', `logsumexp of ${name}`);
  device.run(FORWARD, refs.forward, { q, kv, start, end, state, o, stats }, params);
  device.tape.record(self ? [q] : [q, kv], o, () => {
    const dout = gradOf(o);
    attentionDelta(refs.delta, { dout, o, stats }, params);
    const dq = q.requiresGrad ? into(q) : null;
    const dkv = self ? dq : kv.requiresGrad ? into(kv) : null;
    const tensors = { q, kv, dout, stats, state };
    if (dq) device.run(BACKWARD_Q, refs.backwardQ, { ...tensors, start, end, dq: dq.grad }, { ...params, acc: dq.acc });
    if (!dkv) return;
    const keys = { ...tensors, start: from, end: to, dkv: dkv.grad };
    device.run(BACKWARD_KV, refs.backwardKV, keys, { ...params, acc: dkv.acc });
  });
  return o;
}

/** stats[h, i].y = dout_i · o_i of head h: `l`, `heads` and `k` in params. */
export function attentionDelta(
  reference: Reference,
  tensors: { dout: Tensor; o: Tensor; stats: Tensor },
  params: Params,
): void {
  tensors.o.device.run(DELTA, reference, tensors, params);
}

/** D columns in heads of a width that the kernels take, and a dropout that they can tell apart for `rows` tokens. */
export function checkHeads(name: string, d: number, heads: number, dropout: number, rows: number, got: string): void {
  const k = d / heads;
  if (!(Number.isInteger(heads) && heads >= 1) || !Number.isInteger(k) || k < 4 || k % 4 !== 0 || k > 128) {
    throw new Error(
      `${name}: expected ${heads} heads whose width is a multiple of 4, at most 128, got D = ${d} (${got})`,
    );
  }
  if (!(dropout >= 0 && dropout < 1)) throw new Error(`${name}: expected a dropout in [0, 1), got ${dropout}`);
  if (dropout > 0 && (rows > MAX_TOKENS || heads > MAX_HEADS)) {
    throw new Error(
      `${name}: expected at most ${MAX_TOKENS} tokens and ${MAX_HEADS} heads with dropout, got ${rows} and ${heads}`,
    );
  }
}

/** u32 tensors with a number for each of `rows` tokens. */
export function checkBounds(name: string, bounds: Record<string, Tensor>, rows: number, got: string): void {
  for (const [key, t] of Object.entries(bounds)) {
    if (t.dtype !== 'u32' || t.size !== rows) {
      throw new Error(`${name}: expected ${key} u32 [${rows}] for ${got}, got ${t.dtype} ${showShape(t.shape)}`);
    }
  }
}
