/**
 * Multi-head self-attention over packed sequences, fused as in FlashAttention-2 (Dao 2023, algorithms 1 and 2):
 * online softmax in the forward, which saves only the logsumexp; probabilities are computed again in the backward.
 * Memory grows with the tokens L, never with a sequence's length squared.
 */
import { gradOf, into } from '../autograd.ts';
import { groups, type Kernel, kernel, lanes8, type Params } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { attentionBackwardKV, attentionBackwardQ, attentionDelta, attentionForward } from './attention.ref.ts';

/** A fast variant for subgroups of 8 lanes (`rows` a workgroup), and the one that runs anywhere (64 rows a workgroup). */
const tiled = (name: string, rows: number): Kernel =>
  kernel(name, [
    {
      file: `${name}_sg8`,
      requires: lanes8,
      accepts: (p) => p.k % 32 === 0,
      grid: (p) => [groups(p.l, rows), p.heads, 1],
      constants: (p) => ({ K: p.k, DROPOUT: p.dropout === 1 }),
    },
    { file: `${name}_tile`, grid: (p) => [groups(p.l, 64), p.heads, 1], constants: (p) => ({ K: p.k }) },
  ]);

const FORWARD = tiled('attention_fwd', 16);
const BACKWARD_Q = tiled('attention_bwd_dq', 8);
const BACKWARD_KV = tiled('attention_bwd_dkv', 8);
const DELTA = kernel('attention_bwd_delta', [
  { file: 'attention_bwd_delta', grid: (p) => groups(p.l * p.heads, 64), constants: (p) => ({ K: p.k }) },
]);

export interface AttentionOptions {
  /** Heads H; the head width K = D / H must be a multiple of 4, at most 128. */
  heads: number;
  /** A token attends to itself and to what came before it. */
  causal: boolean;
  /** Probability of dropping an attention weight, in [0, 1); 0 by default. It acts while `device.state` word 5 is set. */
  dropout?: number;
}

/** The sequence [start, end) of each token, u32 [L]; start = end for the unused tokens at the end of a batch. */
export interface Bounds {
  start: Tensor;
  end: Tensor;
}

/** Highest numbers of tokens and heads that the counters of dropout tell apart. */
const MAX_TOKENS = 65536;
const MAX_HEADS = 64;

/**
 * softmax(Q Kᵀ / √K) V for each head inside each token's sequence.
 *
 * `qkv` [L, 3D] holds q, k and v side by side, each D = H heads of K contiguous columns; the result is [L, D].
 * Sequences lie one after another in `bounds`. Tokens that belong to none give zeros and receive none.
 *
 * Dropout of the weight (i, j) of head h: threefry2x32 with the key (seed, step) and the counter
 * (2³¹ + 64 op + h, i · 2¹⁶ + ⌊j / 2⌋), word j mod 2; kept where word ≥ ⌊p 2³²⌋, then scaled by 1 / (1 − p).
 */
export function attention(qkv: Tensor, bounds: Bounds, options: AttentionOptions): Tensor {
  const { device } = qkv;
  const { heads, causal, dropout = 0 } = options;
  check(qkv, bounds, heads, dropout);
  const [l, width] = qkv.shape;
  const d = width / 3;
  const k = d / heads;
  const op = device.opCounter++;
  const params: Params = {
    l,
    heads,
    k,
    scale: 1 / Math.sqrt(k),
    causal: causal ? 1 : 0,
    dropout: dropout > 0 ? 1 : 0,
    threshold: Math.floor(dropout * 2 ** 32),
    keep_scale: 1 / (1 - dropout),
    stream: (2 ** 31 + op * MAX_HEADS) >>> 0,
    acc: 0,
  };
  const state = dropout > 0 ? device.state : null;
  const { start, end } = bounds;
  const o = device.empty([l, d], 'f32', 'attention');
  const lse = device.empty([heads, l], 'f32', 'logsumexp of attention');
  device.run(FORWARD, attentionForward, { qkv, start, end, state, o, lse }, params);
  device.tape.record([qkv], o, () => {
    const { grad: dqkv, acc } = into(qkv);
    const dout = gradOf(o);
    const delta = device.empty([heads, l], 'f32', 'delta of attention');
    device.run(DELTA, attentionDelta, { dout, o, start, end, state, delta }, params);
    const tensors = { qkv, dout, lse, delta, start, end, state, dqkv };
    device.run(BACKWARD_Q, attentionBackwardQ, tensors, { ...params, acc });
    device.run(BACKWARD_KV, attentionBackwardKV, tensors, { ...params, acc });
  });
  return o;
}

function check(qkv: Tensor, { start, end }: Bounds, heads: number, dropout: number): void {
  const came = showShape(qkv.shape);
  if (qkv.rank !== 2 || qkv.shape[1] % 3 !== 0) throw new Error(`attention: qkv [L, 3D] was expected, came ${came}`);
  const [l, width] = qkv.shape;
  const k = width / 3 / heads;
  if (!(Number.isInteger(heads) && heads >= 1) || !Number.isInteger(k) || k < 4 || k % 4 !== 0 || k > 128) {
    throw new Error(
      `attention: ${heads} heads of a width that is a multiple of 4, at most 128, were expected, came D = ${width / 3} (qkv ${came})`,
    );
  }
  for (const [name, t] of Object.entries({ start, end })) {
    if (t.dtype !== 'u32' || t.size !== l) {
      throw new Error(
        `attention: ${name} u32 [${l}] was expected for qkv ${came}, came ${t.dtype} ${showShape(t.shape)}`,
      );
    }
  }
  if (!(dropout >= 0 && dropout < 1)) throw new Error(`attention: a dropout in [0, 1) was expected, came ${dropout}`);
  if (dropout > 0 && (l > MAX_TOKENS || heads > MAX_HEADS)) {
    throw new Error(
      `attention: with dropout at most ${MAX_TOKENS} tokens and ${MAX_HEADS} heads were expected, came ${l} and ${heads}`,
    );
  }
}
