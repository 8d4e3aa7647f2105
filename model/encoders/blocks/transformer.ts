/** Transformer blocks (Vaswani et al. 2017), by where their norms are. */
import { concat, type Tensor } from '../../../engine/index.ts';
import {
  FeedForward,
  LayerNorm,
  Linear,
  MultiHeadAttention,
  type Norm,
  type Parameter,
  type ParameterBuilder,
  RmsNorm,
  type Stream,
} from '../../nn/index.ts';
import type { Settings } from '../../recipes/settings.ts';
import type { Block, BlockKind, Context } from '../context.ts';
import { selfAttend, biasShape } from './attend.ts';

/** The normalization by the name that `norm` has in the settings. */
export const NORM_OF = { pre: LayerNorm, post: LayerNorm, query: LayerNorm, rms: RmsNorm };

/** What blocks with norms before or after have in common. */
abstract class TransformerBlock implements Block {
  readonly norm1: Norm;
  protected readonly norm2: Norm;
  protected readonly ffn: FeedForward;
  private readonly attention: MultiHeadAttention;
  private readonly i: number;

  constructor(p: ParameterBuilder, s: Settings, i: number) {
    this.i = i;
    const NormOf = NORM_OF[s.norm];
    this.norm1 = new NormOf(p.at('norm1'), s.d);
    this.attention = new MultiHeadAttention(p.at('attention'), s.d, biasShape(s));
    this.norm2 = new NormOf(p.at('norm2'), s.d);
    this.ffn = new FeedForward(p.at('ffn'), s.d, s.ff, s.activation);
  }

  protected attend(c: Context, x: Tensor): Tensor {
    return this.attention.forward(x, (qkv) => selfAttend(c, this.i, qkv, this.attention.bias));
  }

  abstract forward(c: Context, stream: Stream, next: Norm): Stream;
}

/** x = x + dropout(Attention(LN x)); x = x + dropout(FF(LN x)). */
class PreNorm extends TransformerBlock {
  forward(c: Context, { x, n }: Stream, next: Norm): Stream {
    const between = this.norm2.add(x, this.attend(c, n), c.dropout);
    return next.add(between.x, this.ffn.forward(between.n), c.dropout);
  }
}

/** x = LN(x + dropout(Attention(x))); x = LN(x + dropout(FF(x))) (Vaswani et al. 2017; BERT4Rec, eq. 6). */
class PostNorm extends TransformerBlock {
  forward(c: Context, { x }: Stream): Stream {
    const { n } = this.norm1.add(x, this.attend(c, x), c.dropout);
    const out = this.norm2.add(n, this.ffn.forward(n), c.dropout);
    return { x: out.n, n: out.n };
  }
}

/**
 * SASRec as its authors' code has it: queries are normalized, keys and values are not, and residuals start from the norms:
 * y = LN x + Attention(q: LN x, k and v: x); x = LN y + dropout(FF(LN y)), dropout inside FF, too. No output matrix.
 */
class QueryNorm implements Block {
  readonly norm1: LayerNorm;
  private readonly query: Linear;
  private readonly keyvalue: Linear;
  private readonly bias: Parameter | null;
  private readonly norm2: LayerNorm;
  private readonly ffn: FeedForward;
  private readonly i: number;

  constructor(p: ParameterBuilder, s: Settings, i: number) {
    const [attention, bias] = [p.at('attention'), biasShape(s)];
    this.i = i;
    this.norm1 = new LayerNorm(p.at('norm1'), s.d);
    this.query = new Linear(attention.at('query'), s.d, s.d);
    this.keyvalue = new Linear(attention.at('keyvalue'), s.d, 2 * s.d);
    this.bias = bias && attention.add('bias', bias, { init: 0 });
    this.norm2 = new LayerNorm(p.at('norm2'), s.d);
    this.ffn = new FeedForward(p.at('ffn'), s.d, s.ff, s.activation);
  }

  forward(c: Context, { x, n }: Stream, next: Norm): Stream {
    const qkv = concat([this.query.forward(n), this.keyvalue.forward(x)], -1);
    const between = this.norm2.add(n, selfAttend(c, this.i, qkv, this.bias), 0);
    return next.add(between.n, this.ffn.forward(between.n, { hiddenDropout: c.dropout }), c.dropout);
  }
}

const BY_NORM = { pre: PreNorm, post: PostNorm, query: QueryNorm, rms: PreNorm };

export const transformer: BlockKind = {
  help: 'self-attention, then a feed-forward layer (norm says where the norms are)',
  attention: 'softmax',
  create: (p, s, i) => new BY_NORM[s.norm](p, s, i),
};
