/**
 * Attention weights for people to look at: the fused kernels never hold them, so that the host works out the rows that are
 * asked for, in double precision, from the queries and keys that were read back.
 */
import { biasWidth } from './ops/relative-attention.ts';
import { attentionScores } from './ops/relative-attention.ref.ts';
import type { Params } from './kernel.ts';

export interface AttentionWeightsOptions {
  heads: number;
  causal: boolean;
  /** As in `relativeAttention`: silu(q·k + bias) / n in place of the softmax. */
  pointwise?: number;
  /** A bias for the distance in positions. */
  position: boolean;
  /** Times of the tokens, for a bias for the distance in time; null for none. */
  times: Uint32Array | null;
  /** Times that the queries count from, where they are not those of their tokens. */
  queryTimes?: Uint32Array | null;
  /** [H, `biasWidth`]; null with neither. */
  bias: Float32Array | null;
}

/** The weights of one sequence of `tokens` tokens, from its qkv [≥ tokens, 3D] as `attention` reads it. */
export class AttentionWeights {
  private readonly arrays: Record<string, Float32Array | Uint32Array>;
  private readonly params: Params;

  constructor(qkv: Float32Array, width: number, tokens: number, options: AttentionWeightsOptions) {
    const { heads, causal, pointwise, position, times, bias } = options;
    const k = width / heads;
    const columns = biasWidth({ causal, position, time: times !== null });
    const spans = new Uint32Array(4 * tokens).fill(tokens, tokens, 2 * tokens);
    if (times) {
      spans.set(times.subarray(0, tokens), 2 * tokens);
      spans.set((options.queryTimes ?? times).subarray(0, tokens), 3 * tokens);
    }
    this.arrays = { qkv, spans, bias: bias ?? new Float32Array(0) };
    this.params = {
      l: tokens,
      heads,
      k,
      scale: pointwise ? 1 : 1 / Math.sqrt(k),
      causal: causal ? 1 : 0,
      dropout: 0,
      silu: pointwise ? 1 : 0,
      inverse: pointwise ? 1 / pointwise : 1,
      position: position ? 1 : 0,
      time: times ? 1 : 0,
      width: columns,
      times: times && position ? columns / 2 : 0,
    };
  }

  /** What token i takes of every token in head h, [tokens]: adds up to 1 but for pointwise attention, whose weights may be negative. */
  row(h: number, i: number): Float64Array {
    const { l, silu, inverse } = this.params;
    const row = new Float64Array(l);
    const scores = attentionScores(this.arrays, this.params, i, h);
    if (silu) {
      for (const { j, s } of scores) row[j] = (s / (1 + Math.exp(-s))) * inverse;
      return row;
    }
    const top = scores.reduce((m, { s }) => Math.max(m, s), Number.NEGATIVE_INFINITY);
    const total = scores.reduce((sum, { s }) => sum + Math.exp(s - top), 0);
    for (const { j, s } of scores) row[j] = Math.exp(s - top) / total;
    return row;
  }
}
