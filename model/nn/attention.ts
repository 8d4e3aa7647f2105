/**
 * Multi-head attention (Vaswani et al. 2017): the projections. What happens between them (masks, rotary positions, a
 * bias, a cache of keys and values) is the caller's function, from projected queries, keys and values to [L, D].
 */
import type { MatmulOptions, Shape, Tensor } from '../../engine/index.ts';
import { Linear } from './linear.ts';
import type { Parameter, ParameterBuilder } from './parameters.ts';

type OutputOptions = Pick<MatmulOptions, 'dropout' | 'residual'>;

/** Self-attention: y = attend(x · W_qkv + b) · W_out + b. */
export class MultiHeadAttention {
  private readonly qkv: Linear;
  /** A learned table that `attend` adds to its logits, zero at first. */
  readonly bias: Parameter | null;
  private readonly out: Linear;

  constructor(p: ParameterBuilder, d: number, bias: Shape | null = null) {
    this.qkv = new Linear(p.at('qkv'), d, 3 * d);
    this.bias = bias && p.add('bias', bias, { init: 0 });
    this.out = new Linear(p.at('out'), d, d);
  }

  /** @param attend from qkv [L, 3D] to [L, D] */
  forward(x: Tensor, attend: (qkv: Tensor) => Tensor, options?: OutputOptions): Tensor {
    return this.out.forward(attend(this.qkv.forward(x)), options);
  }
}

/** y = attend(x · W_q + b, kv) · W_out + b, with keys and values made of other states. */
export class CrossAttention {
  private readonly query: Linear;
  private readonly keyvalue: Linear;
  private readonly out: Linear;

  constructor(p: ParameterBuilder, d: number) {
    this.query = new Linear(p.at('query'), d, d);
    this.keyvalue = new Linear(p.at('keyvalue'), d, 2 * d);
    this.out = new Linear(p.at('out'), d, d);
  }

  /** Keys and values of states [M, D]: [M, 2D]. */
  keys(states: Tensor): Tensor {
    return this.keyvalue.forward(states);
  }

  /** @param attend from queries [L, D] to [L, D] */
  forward(x: Tensor, attend: (query: Tensor) => Tensor, options?: OutputOptions): Tensor {
    return this.out.forward(attend(this.query.forward(x)), options);
  }
}
