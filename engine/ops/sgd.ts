/** Stochastic gradient descent, with momentum (Sutskever et al. 2013), over flat parameters, in place. */
import { texts } from '../../kernels/adamw/texts.ts';
import { groups, kernel } from '../kernel.ts';
import { STATUS } from '../state.ts';
import { showShape } from '../tensor.ts';
import { beginStep, followAverage, type StepOptions, type Trained } from './shared/step.ts';
import { sgdReference } from './sgd.ref.ts';

const SGD = kernel('sgd', (p) => groups(p.n, 256), undefined, texts);

export interface SgdOptions extends StepOptions {
  /** In [0, 1); 0: none is kept. */
  momentum: number;
  /** Looks ahead along the momentum (Nesterov 1983). */
  nesterov: boolean;
  /** Added to the gradient of elements below `decayEnd`, times the value (coupled, as in PyTorch). */
  weightDecay: number;
}

/**
 * One step, in place, and zeroes the gradients for the next one; two dispatches a shard and one for the norm's end. The
 * learning rate is read from `device.state`. With momentum each shard's `m` holds it.
 * A step with a non-finite loss or gradient changes no parameter and leaves its number in `status`.
 *
 * @throws Error for frozen parameters, row tables, a momentum outside of [0, 1), and sizes that differ
 */
export function sgdStep(parameters: Trained, options: SgdOptions): void {
  const { momentum, nesterov, weightDecay, status } = options;
  if (!(momentum >= 0 && momentum < 1)) throw new Error(`sgd: expected a momentum in [0, 1), got ${momentum}`);
  if (nesterov && momentum === 0) throw new Error('sgd: nesterov needs a momentum above 0, got 0');
  const rows = (status.size - STATUS.TABLE) / 2;
  if (status.dtype !== 'u32' || !Number.isInteger(rows) || rows < 1)
    throw new Error(
      `sgd: expected a status made of adamwStatus({ beta1: 0, beta2: 0 }), got ${status.dtype} ${showShape(status.shape)}`,
    );
  if (parameters.rowTables?.length)
    throw new Error('sgd: a table with touchedRows is trained by AdamW alone; make it without touchedRows');
  beginStep('sgd', parameters, options, momentum > 0 ? ['m'] : [], rows);
  const { device } = status;
  for (const shard of parameters.shards) {
    const { params, grads, m = null, decayEnd } = shard;
    const words = { n: params.size, decay_end: decayEnd, momentum, nesterov: nesterov ? 1 : 0, decay: weightDecay };
    const tensors = { state: device.state, status, params, grads, m: momentum > 0 ? m : null };
    device.run(SGD, sgdReference, tensors, words);
    followAverage(shard, options);
  }
}
