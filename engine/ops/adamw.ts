/**
 * AdamW (Loshchilov & Hutter 2019, Alg. 2) over whole arenas of parameters, with clipping to a global norm: three
 * dispatches a step (two more a further shard, one more a shard with padding), whatever the number of layers.
 *
 * Steps are counted on the device, in `status`, so that a replayed step counts as an eager one does.
 */
import { groups, kernel, lanes8 } from '../kernel.ts';
import { texts } from '../../kernels/adamw/texts.ts';
import { STATUS } from '../state.ts';
import { showShape, type Tensor } from '../tensor.ts';
import {
  adamwReference,
  averageReference,
  bitsOf,
  clearPaddingReference,
  exchangeReference,
  gradNormFinishReference,
  gradNormReference,
} from './adamw.ref.ts';
import { adagradRows } from './adagrad-rows.ts';
import { adamwRows, noteStep, type RowState } from './adamw-rows.ts';

/**
 * One arena: flat tensors [n] of values, gradients and both moments. Elements below `decayEnd` decay by `weightDecay`,
 * those from there to `embeddingEnd` by `embeddingDecay`.
 */
export interface AdamwShard {
  params: Tensor;
  grads: Tensor;
  m: Tensor;
  v: Tensor;
  decayEnd: number;
  embeddingEnd?: number;
  /** The moving average of the values, where there is one. */
  average?: Tensor;
  /**
   * u32: where each parameter ends whose size is no multiple of 4, if there are any. Ops leave anything in the gradients
   * behind such an end; it is zeroed before the arena is read.
   */
  padding?: Tensor | null;
}

export interface AdamwOptions {
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** Of embedding tables; 0 by default. */
  embeddingDecay?: number;
  /** Of the moving average of the weights (Polyak & Juditsky 1992); without it there is none. */
  averageDecay?: number;
  /** Of row tables with row-wise Adagrad: what the learning rate is multiplied by; 1 by default. */
  rowRate?: number;
  /** Largest global norm of the gradient; 0 turns clipping off. */
  clip: number;
  /** Checked for being finite and kept in `losses`. */
  loss?: Tensor | null;
  /**
   * u32, `adamwStatus(options)` at first: 0 the first step with a non-finite loss, gradient or learning rate (from then on
   * nothing changes), 1 the gradient's norm before clipping, 2 the scale, 3 the loss (f32 bits each), 4 what was bad:
   * 1 loss, 2 gradient, 4 learning rate; 5 the steps taken.
   */
  status: Tensor;
  /** f32 [ring]: the loss of step s at s mod ring. */
  losses?: Tensor | null;
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

const GROUPS = 256;
const CLEAR = kernel('clear_padding', (p) => groups(p.n, 64), undefined, texts);
const NORM = kernel(
  'grad_norm',
  [
    { file: 'grad_norm_sg8', requires: lanes8, grid: (p) => p.groups },
    { file: 'grad_norm', grid: (p) => p.groups },
  ],
  undefined,
  texts,
);
const FINISH = kernel('grad_norm_finish', () => 1, undefined, texts);
const ADAMW = kernel('adamw', (p) => groups(p.n, 256), undefined, texts);
const AVERAGE = kernel('average', (p) => groups(p.n, 256), undefined, texts);
const EXCHANGE = kernel('exchange', (p) => groups(p.n, 256));

/**
 * One step, in place, and zeroes the gradients for the next one. The learning rate is read from `device.state` (its learning rate);
 * `status` counts the steps, from 1. A step with a non-finite loss or gradient changes no parameter and leaves its number
 * in `status`. The average of the weights follows them by min(averageDecay, (1 + step) / (10 + step)),
 * so that it is close to them early on.
 */
export function adamwStep(
  parameters: {
    readonly shards: readonly AdamwShard[];
    /** Tables whose gradients are kept by row; `catchUpRows` ran for the rows that this step reads. */
    readonly rowTables?: readonly RowState[];
    readonly frozen?: boolean;
  },
  options: AdamwOptions,
): void {
  if (parameters.frozen) throw new Error('adamw: the parameters are frozen; make them without `frozen` to train them');
  const { shards, rowTables = [] } = parameters;
  const { status, loss, losses, beta1, beta2, eps, weightDecay, clip } = options;
  const rows = correctionRows(options);
  if (status.dtype !== 'u32' || status.size !== STATUS.TABLE + 2 * rows) {
    throw new Error(
      `adamw: expected a status made of adamwStatus({ beta1: ${beta1}, beta2: ${beta2} }), u32 [${STATUS.TABLE + 2 * rows}], got ${status.dtype} ${showShape(status.shape)}`,
    );
  }
  if (!status.device.hasState)
    throw new Error(
      'adamw: the learning rate was never set; call prepare() of AdamW, or device.setState(), before a step',
    );
  if (loss && loss.size !== 1) throw new Error(`adamw: expected a scalar loss, got ${showShape(loss.shape)}`);
  if (loss && !losses?.size) throw new Error('adamw: expected a ring for the losses, since there is a loss, got none');
  for (const s of shards) {
    for (const t of [s.grads, s.m, s.v]) {
      if (t.size !== s.params.size)
        throw new Error(`adamw: sizes differ, params ${showShape(s.params.shape)}, ${t.label} ${showShape(t.shape)}`);
    }
  }
  const { device } = status;
  for (const { grads } of rowTables) device.inPlace('adamw', grads);
  for (const { params, grads, m, v, average } of shards)
    for (const t of [params, grads, m, v, average]) if (t) device.inPlace('adamw', t);
  device.inPlace('adamw', status);
  if (losses) device.inPlace('adamw', losses);
  for (const { grads, padding } of shards)
    if (padding) device.run(CLEAR, clearPaddingReference, { ends: padding, grads }, { n: padding.size });
  const all = [...shards, ...rowTables].map(({ grads }) => grads);
  const counts = all.map((grads) => Math.max(1, Math.min(GROUPS, groups(grads.size, 4096))));
  const count = counts.reduce((a, b) => a + b, 0);
  // Bits on the GPU, where an infinity must not pass through arithmetic; numbers on the CPU.
  const partial = device.empty([count], device.gpu ? 'u32' : 'f32', 'gradient norm');
  let at = 0;
  all.forEach((grads, i) => {
    device.run(NORM, gradNormReference, { x: grads, partial }, { n: grads.size, at, groups: counts[i] });
    at += counts[i];
  });
  device.run(
    FINISH,
    gradNormFinishReference,
    { state: device.state, loss: loss ?? null, partial, status, losses: loss ? (losses ?? null) : null },
    { count, max_norm: clip, has_loss: loss ? 1 : 0, ring: losses?.size ?? 1, rows },
  );
  for (const table of rowTables) {
    noteStep(table, options);
    (table.shards[0].sums ? adagradRows : adamwRows)(table, options);
  }
  const common = { beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2, eps, decay: weightDecay };
  const { state } = device;
  for (const { decayEnd, embeddingEnd = decayEnd, params, grads, m, v, average } of shards) {
    const n = params.size;
    const decay = { decay_end: decayEnd, embedding_end: embeddingEnd, embedding_decay: options.embeddingDecay ?? 0 };
    device.run(ADAMW, adamwReference, { state, status, params, grads, m, v }, { n, ...decay, ...common });
    if (average && options.averageDecay)
      device.run(AVERAGE, averageReference, { status, params, average }, { n, decay: options.averageDecay });
  }
}

/** Exchanges the values of two tensors of one size, bit for bit: weights and their moving average, to evaluate it. */
export function exchange(a: Tensor, b: Tensor): void {
  if (a.size !== b.size || a.storage === b.storage)
    throw new Error(`exchange: expected two tensors of one size, got ${showShape(a.shape)} and ${showShape(b.shape)}`);
  for (const t of [a, b]) a.device.inPlace('exchange', t);
  a.device.run(EXCHANGE, exchangeReference, { a, b }, { n: a.size });
}
