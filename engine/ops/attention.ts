/** Multi-head self-attention over packed sequences; what it shares with crossAttention is in shared/attend.ts. */
import { showShape, type Tensor } from '../tensor.ts';
import { attentionReferences } from './attention.ref.ts';
import { attend, checkBounds, checkHeads } from './shared/attend.ts';
import { expectType } from './shared/check.ts';

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
  const { heads, causal, dropout = 0 } = options;
  const { start, end } = bounds;
  const got = `qkv ${showShape(qkv.shape)}`;
  expectType('attention', 'qkv', qkv);
  if (qkv.rank !== 2 || qkv.shape[1] % 3 !== 0) {
    throw new Error(`attention: expected qkv [L, 3D], got ${showShape(qkv.shape)}`);
  }
  checkHeads('attention', qkv.shape[1] / 3, heads, dropout, qkv.shape[0], got);
  checkBounds('attention', { start, end }, qkv.shape[0], got);
  const attended = { q: qkv, kv: qkv, start, end, from: start, to: end, heads, causal, dropout };
  return attend('attention', attentionReferences, attended);
}
