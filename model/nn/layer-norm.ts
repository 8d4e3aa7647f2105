/** Normalization of rows of width D: layer normalization (Ba et al. 2016), or by the root mean square alone. */
import { add, addLayernorm, dropout, layernorm, rmsnorm, type Tensor } from '../../engine/index.ts';
import type { Parameter, ParameterBuilder } from './parameters.ts';

/** The residual stream x [L, D], and its norm n, which the next module reads. */
export interface Stream {
  x: Tensor;
  n: Tensor;
}

/** What normalizes the residual stream between two modules. */
export interface Norm {
  forward(x: Tensor): Tensor;
  /** x + dropout(r), and its norm. */
  add(x: Tensor, r: Tensor, dropout: number): Stream;
}

export class LayerNorm implements Norm {
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

/** Root mean square normalization (Zhang & Sennrich 2019): no mean, no bias. */
export class RmsNorm implements Norm {
  readonly weight: Parameter;

  constructor(p: ParameterBuilder, d: number) {
    this.weight = p.add('weight', [d], { init: 1 });
  }

  forward(x: Tensor): Tensor {
    return rmsnorm(x, this.weight.tensor);
  }

  add(x: Tensor, r: Tensor, rate: number): Stream {
    const sum = add(x, rate > 0 ? dropout(r, rate) : r);
    return { x: sum, n: this.forward(sum) };
  }
}
