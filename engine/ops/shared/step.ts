/** What every optimizer's step begins with (checks, the gradient's global norm, the verdict) and ends with (the average). */
import { texts } from '../../../kernels/adamw/texts.ts';
import { groups, kernel, lanes8 } from '../../kernel.ts';
import { showShape, type Tensor } from '../../tensor.ts';
import { expectTypes } from './check.ts';
import { averageReference, clearPaddingReference, gradNormFinishReference, gradNormReference } from '../adamw.ref.ts';

/**
 * What is updated together: flat tensors [n] of values, gradients and the optimizer's moments. Elements below `decayEnd`
 * decay by `weightDecay`, those from there to `embeddingEnd` by `embeddingDecay`. From `decayEnd` to `tableEnd` are tables.
 */
export interface ParameterShard {
  params: Tensor;
  grads: Tensor;
  /** The first moment, or SGD's momentum; with SGD without momentum there is none. */
  m?: Tensor;
  /** The second moment of AdamW. */
  v?: Tensor;
  decayEnd: number;
  embeddingEnd?: number;
  tableEnd?: number;
  /** The moving average of the values, where there is one. */
  average?: Tensor;
  /**
   * u32: where each parameter ends whose size is no multiple of 4, if there are any. Ops leave anything in the gradients
   * behind such an end; it is zeroed before the arena is read.
   */
  padding?: Tensor | null;
}

/** The parameters of a step. */
export interface Trained {
  readonly shards: readonly ParameterShard[];
  /** Tables whose gradients are kept by row. */
  readonly rowTables?: readonly { readonly grads: Tensor }[];
  readonly frozen?: boolean;
}

export interface StepOptions {
  /** Largest global norm of the gradient; 0 turns clipping off. */
  clip: number;
  /** Of the moving average of the weights (Polyak & Juditsky 1992); without it there is none. */
  averageDecay?: number;
  /** Checked for being finite and kept in `losses`. */
  loss?: Tensor | null;
  /**
   * u32: 0 the first step with a non-finite loss, gradient or learning rate (from then on nothing changes), 1 the
   * gradient's norm before clipping, 2 the scale, 3 the loss (f32 bits each), 4 what was bad: 1 loss, 2 gradient, 4
   * learning rate; 5 the steps taken.
   */
  status: Tensor;
  /** f32 [ring]: the loss of step s at s mod ring. */
  losses?: Tensor | null;
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
const AVERAGE = kernel('average', (p) => groups(p.n, 256), undefined, texts);

/**
 * Checks what an optimizer is about to change, counts the step, and leaves the gradient's norm, what clipping multiplies
 * it by, and whether all is finite in `status`.
 *
 * @param moments what the optimizer keeps beside each value @param rows of the corrections in `status`
 */
export function beginStep(
  who: string,
  { shards, rowTables = [], frozen }: Trained,
  { status, loss, losses, clip }: StepOptions,
  moments: readonly ('m' | 'v')[],
  rows: number,
): void {
  if (frozen) throw new Error(`${who}: the parameters are frozen; make them without \`frozen\` to train them`);
  const { device } = status;
  if (!device.hasState)
    throw new Error(
      `${who}: the learning rate was never set; call prepare() of the optimizer, or device.setState(), before a step`,
    );
  if (loss && (loss.size !== 1 || loss.dtype !== 'f32'))
    throw new Error(`${who}: expected a scalar loss, got ${loss.dtype} ${showShape(loss.shape)}`);
  if (loss && !losses?.size) throw new Error(`${who}: expected a ring for the losses, since there is a loss, got none`);
  expectTypes(who, { losses });
  for (const { params, grads, m, v, average } of shards) expectTypes(who, { params, grads, m, v, average });
  for (const shard of shards) {
    for (const name of ['grads', ...moments] as const) {
      const t = shard[name];
      if (t?.size !== shard.params.size)
        throw new Error(
          `${who}: sizes differ, params ${showShape(shard.params.shape)}, ${name} ${t ? showShape(t.shape) : 'missing'}`,
        );
    }
  }
  for (const { grads } of rowTables) device.inPlace(who, grads);
  for (const { params, grads, m, v, average } of shards)
    for (const t of [params, grads, m, v, average]) if (t) device.inPlace(who, t);
  device.inPlace(who, status);
  if (losses) device.inPlace(who, losses);
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
}

/** The moving average of what was just updated follows it, by min(averageDecay, (1 + step) / (10 + step)). */
export function followAverage({ params, average }: ParameterShard, { status, averageDecay }: StepOptions): void {
  if (!average || !averageDecay) return;
  params.device.run(AVERAGE, averageReference, { status, params, average }, { n: params.size, decay: averageDecay });
}
