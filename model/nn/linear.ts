/** y = act(x · W + b): W [in, out], b [out]. */
import { matmul, type MatmulOptions, type Tensor } from '../../engine/index.ts';
import type { Init, Parameter, ParameterBuilder } from './parameters.ts';

export class Linear {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    p: ParameterBuilder,
    inputs: number,
    outputs: number,
    { bias = 0, std = p.std.linear(inputs) }: { bias?: Init | false; std?: number } = {},
  ) {
    this.weight = p.add('weight', [inputs, outputs], { init: { std }, decay: true });
    this.bias = bias === false ? null : p.add('bias', [outputs], { init: bias });
  }

  /** [.., in] → [.., out] */
  forward(x: Tensor, options: Omit<MatmulOptions, 'bias'> = {}): Tensor {
    return matmul(x, this.weight.tensor, { ...options, bias: this.bias?.tensor });
  }
}
