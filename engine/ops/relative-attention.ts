/**
 * Self-attention over packed sequences with a learned bias for the distance of query and key, in positions, in time or in
 * both (T5, Raffel et al. 2020, §2.1; HSTU, Zhai et al. 2024, §3.1), fused as `attention` is: memory grows with the tokens
 * L, never with a sequence's length squared. With `pointwise`, silu takes the place of softmax (HSTU, eq. 2).
 *
 * The bias' gradient is exact and the same every time: each query's row has sums of its own by distance, [H, W, L], which
 * are added up over L in a fixed order afterwards. No float atomics.
 */
import { gradOf, into } from '../autograd.ts';
import { groups, type Kernel, kernel, type Params } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { attentionReferences } from './attention.ref.ts';
import type { Bounds } from './attention.ts';
import {
  relativeAttentionBackwardKV,
  relativeAttentionBackwardQ,
  relativeAttentionForward,
} from './relative-attention.ref.ts';
import { concat } from './concat.ts';
import { attentionDelta } from './shared/attend.ts';
import { expectType } from './shared/check.ts';
import { sumLast } from './shared/sums.ts';

const rows64 = (name: string): Kernel =>
  kernel(name, [
    {
      file: name,
      grid: (p) => [groups(p.l, 64), p.heads, 1],
      constants: (p) => ({ K: p.k, SILU: p.silu === 1 }),
    },
  ]);

const FORWARD = rows64('relative_attention_fwd');
const BACKWARD_Q = rows64('relative_attention_bwd_dq');
const BACKWARD_KV = rows64('relative_attention_bwd_dkv');

/** Columns of the bias table for one kind of distance: 64 for keys before the query, 64 more where keys may follow it. */
const SLOTS = 64;

export interface RelativeAttentionOptions {
  /** Heads H; the head width K = D / H must be a multiple of 4, at most 128. */
  heads: number;
  causal: boolean;
  /** Probability of dropping an attention weight, as in `attention`. */
  dropout?: number;
  /** Softmax of q·k / √K + bias; or, with a number n, silu(q·k + bias) / n without a normalization. */
  pointwise?: number;
  /** A bias for the distance in positions. */
  position: boolean;
  /** Times of the tokens, u32 [L], for a bias for the distance in time (in half octaves); null for none. */
  times: Tensor | null;
  /** Times that the queries count from, u32 [L], where they are not those of their tokens (a time that is asked about). */
  queryTimes?: Tensor | null;
}

/** Columns of the bias table: position slots first, then time slots. 0 where there is no bias. */
export function biasWidth(options: { causal: boolean; position: boolean; time: boolean }): number {
  const sides = options.causal ? 1 : 2;
  return SLOTS * sides * ((options.position ? 1 : 0) + (options.time ? 1 : 0));
}

/** Most tokens and heads that the counters of dropout tell apart, as in `attention`. */
const MAX_TOKENS = 65536;
const MAX_HEADS = 64;

/**
 * Attention of each head inside each token's sequence, with bias [H, `biasWidth`] added to the scores; null with neither
 * position nor times. `qkv` [L, 3D] as in `attention`; the result is [L, D]. Distances in positions have a column each up
 * to 31 and one for every half octave beyond.
 */
export function relativeAttention(
  qkv: Tensor,
  bounds: Bounds,
  bias: Tensor | null,
  options: RelativeAttentionOptions,
): Tensor {
  const { device } = qkv;
  const { heads, causal, dropout = 0, pointwise, position, times, queryTimes } = options;
  const width = biasWidth({ causal, position, time: times !== null });
  check(qkv, bounds, bias, width, options);
  const [l, columns] = qkv.shape;
  const d = columns / 3;
  const k = d / heads;
  const op = device.opCounter++;
  const params: Params = {
    l,
    heads,
    k,
    scale: pointwise ? 1 : 1 / Math.sqrt(k),
    inverse: pointwise ? 1 / pointwise : 1,
    silu: pointwise ? 1 : 0,
    causal: causal ? 1 : 0,
    position: position ? 1 : 0,
    time: times ? 1 : 0,
    width,
    times: times && position ? width / 2 : 0,
    dropout: dropout > 0 ? 1 : 0,
    threshold: Math.floor(dropout * 2 ** 32),
    keep_scale: 1 / (1 - dropout),
    stream: (2 ** 31 + op * MAX_HEADS) >>> 0,
    acc: 0,
  };
  const state = dropout > 0 ? device.state : null;
  const spans = concat([bounds.start, bounds.end, ...(times ? [times, queryTimes ?? times] : [])], 0);
  const o = device.empty([l, d], 'f32', 'relativeAttention');
  const stats = pointwise ? null : device.empty([heads, l, 2], 'f32', 'logsumexp of relativeAttention');
  device.run(FORWARD, relativeAttentionForward, { qkv, spans, bias, state, o, stats }, params);
  device.tape.record([qkv, bias], o, () => {
    const dout = gradOf(o);
    if (stats) attentionDelta(attentionReferences.delta, { dout, o, stats }, params);
    const to = qkv.requiresGrad ? into(qkv) : null;
    const dqkv = to?.grad ?? device.empty(qkv.shape, 'f32', 'unused');
    const acc = to?.acc ?? 0;
    const partial = bias ? device.empty([heads, width, l], 'f32', 'bias by query') : null;
    const tensors = { qkv, dout, stats, spans, bias, state, dqkv };
    device.run(BACKWARD_Q, relativeAttentionBackwardQ, { ...tensors, partial }, { ...params, acc });
    device.run(BACKWARD_KV, relativeAttentionBackwardKV, tensors, { ...params, acc });
    if (bias?.requiresGrad && partial) {
      const { grad, acc } = into(bias);
      sumLast(partial, heads * width, l, grad, 1, acc);
    }
  });
  return o;
}

function check(
  qkv: Tensor,
  { start, end }: Bounds,
  bias: Tensor | null,
  width: number,
  { heads, dropout = 0, times, queryTimes, pointwise }: RelativeAttentionOptions,
): void {
  const who = 'relativeAttention';
  expectType(who, 'qkv', qkv);
  if (bias) expectType(who, 'bias', bias);
  const got = showShape(qkv.shape);
  const k = qkv.rank === 2 ? qkv.shape[1] / 3 / heads : 0;
  if (!(Number.isInteger(heads) && heads >= 1) || !Number.isInteger(k) || k < 4 || k % 4 !== 0 || k > 128) {
    throw new Error(
      `${who}: expected qkv [L, 3D] of ${heads} heads whose width is a multiple of 4, at most 128, got ${got}`,
    );
  }
  const [l] = qkv.shape;
  for (const [name, t] of Object.entries({ start, end, times, queryTimes })) {
    if (t && (t.dtype !== 'u32' || t.rank !== 1 || t.size !== l)) {
      throw new Error(`${who}: expected ${name} u32 [${l}] for qkv ${got}, got ${t.dtype} ${showShape(t.shape)}`);
    }
  }
  if (queryTimes && !times) throw new Error(`${who}: queryTimes require times`);
  const expected = width === 0 ? 'none' : showShape([heads, width]);
  const given = bias ? showShape(bias.shape) : 'none';
  if (given !== expected) throw new Error(`${who}: expected a bias ${expected}, got ${given}`);
  if (pointwise !== undefined && !(pointwise > 0))
    throw new Error(`${who}: pointwise needs a divisor above 0, got ${pointwise}`);
  if (!(dropout >= 0 && dropout < 1)) throw new Error(`${who}: expected a dropout in [0, 1), got ${dropout}`);
  if (dropout > 0 && (l > MAX_TOKENS || heads > MAX_HEADS)) {
    throw new Error(
      `${who}: expected at most ${MAX_TOKENS} tokens and ${MAX_HEADS} heads with dropout, got ${l} and ${heads}`,
    );
  }
}
