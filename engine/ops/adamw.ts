/**
 * AdamW (Loshchilov & Hutter 2019, Alg. 2) over whole arenas of parameters, with clipping to a global norm: three
 * dispatches a step (two more a further shard, one more a shard with padding), whatever the number of layers.
 *
 * Steps are counted on the device, in `status`, so that a replayed step counts as an eager one does.
 */
import { groups, kernel } from '../kernel.ts';
import { texts } from '../../kernels/adamw/texts.ts';
import { STATUS } from '../state.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { adamwReference, bitsOf, exchangeReference } from './adamw.ref.ts';
import { adagradRows } from './adagrad-rows.ts';
import { adamwRows, noteStep, type RowState } from './adamw-rows.ts';
import { beginStep, followAverage, type StepOptions, type Trained } from './shared/step.ts';

export interface AdamwOptions extends StepOptions {
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** Of embedding tables; 0 by default. */
  embeddingDecay?: number;
  /** What the steps of tables are multiplied by, their decay aside; 1 by default. Those of row-wise Adagrad have `rowRate`. */
  tableRate?: number;
  /** Of row tables with row-wise Adagrad: what the learning rate is multiplied by; 1 by default. */
  rowRate?: number;
  /** `adamwStatus(options)` at first. */
  status: Tensor;
}

/** Largest β: its corrections reach 1 after 1.7 million steps. */
const MAX_BETA = 0.99999;

/** Steps after which the bias correction 1 − βᵗ is 1 in f32. */
function stepsTo1(beta: number): number {
  let t = 1;
  while (Math.fround(1 - beta ** t) < 1) t *= 2;
  for (let step = t / 2; step >= 1; step /= 2)
    if (t - step >= 1 && Math.fround(1 - beta ** (t - step)) === 1) t -= step;
  return t;
}

function correctionRows({ beta1, beta2 }: Pick<AdamwOptions, 'beta1' | 'beta2'>): number {
  for (const beta of [beta1, beta2]) {
    if (!(beta >= 0 && beta <= MAX_BETA))
      throw new Error(`adamw: expected beta1 and beta2 from 0 to ${MAX_BETA}, got ${beta1} and ${beta2}`);
  }
  return Math.max(stepsTo1(beta1), stepsTo1(beta2));
}

/**
 * What the status of an optimizer holds that has taken so many steps: the count, and the bias
 * corrections 1 − β₁ᵗ and 1 − β₂ᵗ (f32 bits) of each step t from 1 to where both are 1. They are made here, in double
 * precision; the device looks them up.
 */
export function adamwStatus(options: Pick<AdamwOptions, 'beta1' | 'beta2'>, steps = 0): Uint32Array<ArrayBuffer> {
  if (!Number.isInteger(steps) || steps < 0 || steps >= 2 ** 32)
    throw new Error(`adamw: expected an integer >= 0 as the number of steps taken, got ${steps}`);
  const rows = correctionRows(options);
  const words = new Uint32Array(STATUS.TABLE + 2 * rows);
  words[STATUS.STEP] = steps;
  for (let t = 1; t <= rows; t++) {
    words[STATUS.TABLE + 2 * (t - 1)] = bitsOf(1 - options.beta1 ** t);
    words[STATUS.TABLE + 2 * (t - 1) + 1] = bitsOf(1 - options.beta2 ** t);
  }
  return words;
}

const ADAMW = kernel('adamw', (p) => groups(p.n, 256), undefined, texts);
const EXCHANGE = kernel('exchange', (p) => groups(p.n, 256));

/**
 * One step, in place, and zeroes the gradients for the next one. The learning rate is read from `device.state` (its learning rate);
 * `status` counts the steps, from 1. A step with a non-finite loss or gradient changes no parameter and leaves its number
 * in `status`. The average of the weights follows them by min(averageDecay, (1 + step) / (10 + step)),
 * so that it is close to them early on.
 */
export function adamwStep(
  parameters: Trained & {
    /** `catchUpRows` ran for the rows that this step reads. */
    readonly rowTables?: readonly RowState[];
  },
  options: AdamwOptions,
): void {
  const { shards, rowTables = [] } = parameters;
  const { status, beta1, beta2, eps, weightDecay } = options;
  const rows = correctionRows(options);
  if (status.dtype !== 'u32' || status.size !== STATUS.TABLE + 2 * rows) {
    throw new Error(
      `adamw: expected a status made of adamwStatus({ beta1: ${beta1}, beta2: ${beta2} }), u32 [${STATUS.TABLE + 2 * rows}], got ${status.dtype} ${showShape(status.shape)}`,
    );
  }
  beginStep('adamw', parameters, options, ['m', 'v'], rows);
  const { device } = status;
  for (const table of rowTables) {
    noteStep(table, options);
    (table.shards[0].sums ? adagradRows : adamwRows)(table, options);
  }
  const common = { beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2, eps, decay: weightDecay };
  const { state } = device;
  for (const shard of shards) {
    const { decayEnd, embeddingEnd = decayEnd, tableEnd = decayEnd, params, grads, m = null, v = null } = shard;
    const n = params.size;
    const decay = { decay_end: decayEnd, embedding_end: embeddingEnd, embedding_decay: options.embeddingDecay ?? 0 };
    const rate = { table_end: tableEnd, table_rate: options.tableRate ?? 1 };
    device.run(ADAMW, adamwReference, { state, status, params, grads, m, v }, { n, ...decay, ...rate, ...common });
    followAverage(shard, options);
  }
}

/** Exchanges the values of two tensors of one size, bit for bit: weights and their moving average, to evaluate it. */
export function exchange(a: Tensor, b: Tensor): void {
  if (a.size !== b.size || a.storage === b.storage)
    throw new Error(`exchange: expected two tensors of one size, got ${showShape(a.shape)} and ${showShape(b.shape)}`);
  for (const t of [a, b]) a.device.inPlace('exchange', t);
  a.device.run(EXCHANGE, exchangeReference, { a, b }, { n: a.size });
}
