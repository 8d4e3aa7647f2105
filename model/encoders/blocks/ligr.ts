/** LiGR (Borisyuk et al. 2025, "From Features to Transformers", eq. 1; eSASRec, Tikhonovich et al. 2025): gated residuals. */
import { mul, sigmoid } from '../../../engine/index.ts';
import {
  FeedForward,
  LayerNorm,
  Linear,
  MultiHeadAttention,
  type Norm,
  type ParameterBuilder,
  type Stream,
} from '../../nn/index.ts';
import type { Settings } from '../../recipes/settings.ts';
import type { Block, BlockKind, Context } from '../context.ts';
import { selfAttend, biasShape } from './attend.ts';

/** x = x + σ(x W₁) · dropout(Attention(LN x)); x = x + σ(x W₂) · dropout(FF(LN x)). */
class Ligr implements Block {
  readonly norm1: LayerNorm;
  private readonly attention: MultiHeadAttention;
  private readonly gate1: Linear;
  private readonly norm2: LayerNorm;
  private readonly ffn: FeedForward;
  private readonly gate2: Linear;
  private readonly i: number;

  constructor(p: ParameterBuilder, s: Settings, i: number) {
    this.i = i;
    this.norm1 = new LayerNorm(p.at('norm1'), s.d);
    this.attention = new MultiHeadAttention(p.at('attention'), s.d, biasShape(s));
    this.gate1 = new Linear(p.at('gate1'), s.d, s.d);
    this.norm2 = new LayerNorm(p.at('norm2'), s.d);
    this.ffn = new FeedForward(p.at('ffn'), s.d, s.ff, s.activation);
    this.gate2 = new Linear(p.at('gate2'), s.d, s.d);
  }

  forward(c: Context, { x, n }: Stream, next: Norm): Stream {
    const attended = this.attention.forward(n, (qkv) => selfAttend(c, this.i, qkv, this.attention.bias));
    const between = this.norm2.add(x, mul(sigmoid(this.gate1.forward(x)), attended), c.dropout);
    const fed = this.ffn.forward(between.n);
    return next.add(between.x, mul(sigmoid(this.gate2.forward(between.x)), fed), c.dropout);
  }
}

export const ligr: BlockKind = {
  help: 'a transformer block with gated residuals (LiGR)',
  attention: 'softmax',
  requires: { norm: 'pre' },
  create: (p, s, i) => new Ligr(p, s, i),
};
