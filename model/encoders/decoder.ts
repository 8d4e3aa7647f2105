/** The decoder (Vaswani et al. 2017, §3.1, with norms first): causal over the continuation, then over the history. */
import type { Tensor } from '../../engine/index.ts';
import {
  CrossAttention,
  FeedForward,
  LayerNorm,
  MultiHeadAttention,
  type ParameterBuilder,
  type Stream,
} from '../nn/index.ts';
import type { Settings } from '../recipes/settings.ts';
import { selfAttend } from './blocks/attend.ts';
import type { Context } from './context.ts';
import { Input } from './input.ts';

/** Attention of queries [L, D] of block i to the encoder's states: [L, D]. */
export type Cross = (i: number, query: Tensor) => Tensor;

/** x = x + dropout(SelfAttention(LN x)); x = x + dropout(CrossAttention(LN x, history)); x = x + dropout(FF(LN x)). */
class DecoderBlock {
  readonly norm1: LayerNorm;
  readonly cross: CrossAttention;
  private readonly attention: MultiHeadAttention;
  private readonly norm2: LayerNorm;
  private readonly norm3: LayerNorm;
  private readonly ffn: FeedForward;
  private readonly i: number;

  constructor(p: ParameterBuilder, s: Settings, i: number) {
    this.i = i;
    this.norm1 = new LayerNorm(p.at('norm1'), s.d);
    this.attention = new MultiHeadAttention(p.at('attention'), s.d);
    this.norm2 = new LayerNorm(p.at('norm2'), s.d);
    this.cross = new CrossAttention(p.at('cross'), s.d);
    this.norm3 = new LayerNorm(p.at('norm3'), s.d);
    this.ffn = new FeedForward(p.at('ffn'), s.d, s.ff, s.activation);
  }

  forward(c: Context, { x, n }: Stream, next: LayerNorm, cross: Cross): Stream {
    const own = this.attention.forward(n, (qkv) => selfAttend(c, this.i, qkv, null));
    const first = this.norm2.add(x, own, c.dropout);
    const read = this.cross.forward(first.n, (query) => cross(this.i, query));
    const second = this.norm3.add(first.x, read, c.dropout);
    return next.add(second.x, this.ffn.forward(second.n), c.dropout);
  }
}

export class Decoder {
  readonly blocks: readonly DecoderBlock[];
  private readonly input: Input;
  private readonly norm: LayerNorm;

  constructor(p: ParameterBuilder, s: Settings) {
    this.input = new Input(p, s, s.continuation);
    this.blocks = Array.from({ length: s.decoder }, (_, i) => new DecoderBlock(p.at(`${i}`), s, i));
    this.norm = new LayerNorm(p.at('norm'), s.d);
  }

  /** States [L, D] of the continuation's tokens. */
  forward(c: Context, cross: Cross, side: Tensor | null): Tensor {
    const { blocks, norm } = this;
    let stream = this.input.forward(c, blocks[0].norm1, side);
    for (const [i, block] of blocks.entries()) stream = block.forward(c, stream, blocks[i + 1]?.norm1 ?? norm, cross);
    return stream.n;
  }
}
