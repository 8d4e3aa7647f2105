/** down(act(up(x))), or with swiglu down(silu(gate(x)) · up(x)), where gate and up are one matrix (Shazeer 2020). */
import { type Activation, dropout, type MatmulOptions, swiglu, type Tensor } from '../../engine/index.ts';
import { Linear } from './linear.ts';
import type { ParameterBuilder } from './parameters.ts';

export interface FeedForwardOptions extends Pick<MatmulOptions, 'dropout' | 'residual'> {
  /** Dropout of the hidden layer. */
  hiddenDropout?: number;
}

export class FeedForward {
  private readonly up: Linear;
  private readonly down: Linear;
  private readonly activation: Activation | 'swiglu';

  constructor(p: ParameterBuilder, d: number, ff: number, activation: Activation | 'swiglu') {
    this.up = new Linear(p.at('up', 'd or ff'), d, activation === 'swiglu' ? 2 * ff : ff);
    this.down = new Linear(p.at('down', 'd or ff'), ff, d);
    this.activation = activation;
  }

  /** [L, D] → [L, D] */
  forward(x: Tensor, { hiddenDropout, ...options }: FeedForwardOptions = {}): Tensor {
    const { activation } = this;
    const hidden = activation === 'swiglu' ? swiglu(this.up.forward(x)) : this.up.forward(x, { activation });
    return this.down.forward(hiddenDropout === undefined ? hidden : dropout(hidden, hiddenDropout), options);
  }
}
