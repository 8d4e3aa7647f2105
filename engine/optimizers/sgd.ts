/** SGD over all parameters of a model, with momentum, global-norm clipping and the sticky non-finite word. */
import { adamwStatus } from '../ops/adamw.ts';
import { type SgdOptions, sgdStep } from '../ops/sgd.ts';
import type { ParameterArena } from '../parameters/arena.ts';
import type { Tensor } from '../tensor.ts';
import { Optimizer, type OptimizerOptions, type ParameterTree } from './optimizer.ts';

/** Learning rate 0.01, no momentum, no weight decay, no clipping. */
export type SGDOptions = OptimizerOptions & Partial<Omit<SgdOptions, 'loss' | 'status' | 'losses'>>;

/** It has no bias corrections. */
const BETAS = { beta1: 0, beta2: 0 };

/**
 * Stochastic gradient descent, in place, as PyTorch's: g + weightDecay · w goes into the momentum, and the learning rate
 * times that out of the weights. Otherwise like `AdamW`, on the same parameters.
 */
export class SGD extends Optimizer {
  readonly options: Omit<SgdOptions, 'loss' | 'status' | 'losses'>;

  constructor(parameters: ParameterArena | ParameterTree, options: SGDOptions = {}) {
    const { momentum = 0, nesterov = false, weightDecay = 0, clip = 0, averageDecay } = options;
    super('sgd', parameters, options, 0.01, adamwStatus(BETAS), momentum > 0 ? ['m'] : []);
    this.options = { momentum, nesterov, weightDecay, clip, averageDecay };
  }

  protected override statusAfter(steps: number): Uint32Array {
    return adamwStatus(BETAS, steps);
  }

  override step(loss?: Tensor): void {
    sgdStep(this.parameters, { ...this.options, loss, status: this.words, losses: this.losses });
  }
}
