/** Layer normalization (Ba et al. 2016) of rows of width D. */
import { addLayernorm, layernorm, type Tensor } from '../../engine/index.ts';
import type { Parameter, ParameterBuilder } from './parameters.ts';

/** The residual stream x [L, D], and its norm n, which the next module reads. */
export interface Stream {
  x: Tensor;
  n: Tensor;
}

export class LayerNorm {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(p: ParameterBuilder, d: number) {
    this.weight = p.add('weight', [d], { init: 1 });
    this.bias = p.add('bias', [d], { init: 0 });
  }

  forward(x: Tensor): Tensor {
    return layernorm(x, this.weight.tensor, this.bias.tensor);
  }

  /** x + dropout(r), and its norm, in one kernel. */
  add(x: Tensor, r: Tensor, dropout: number): Stream {
    const { sum, norm } = addLayernorm(x, r, this.weight.tensor, this.bias.tensor, { dropout });
    return { x: sum, n: norm };
  }
}
