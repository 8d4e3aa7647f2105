/**
 * AdamW for a large table of which a step reads few rows: a step costs what it touches.
 *
 * The weights are those of dense AdamW (adamw.ts). There, a row without a gradient moves on by its first moment, decays,
 * and both its moments shrink; here that is made up for when the row is next read, from the step up to which it is done
 * and a `history` of the learning rates since. In exact arithmetic nothing differs but this: what is left of the first
 * moment after `movesOf(betas)` idle steps (194 with β₁ = .9 and β₂ = .98) moves nothing any more, a relative 1e-8 of what
 * it moved. In f32 both round, differently. The lazy optimizers of TensorFlow and PyTorch (SparseAdam) leave idle rows as
 * they are, and so take other steps than Adam does.
 *
 * The order of a step: `catchUpRows` for the rows that it reads, forward and backward, the norm over all gradients,
 * `noteStep`, `adamwRows`. All rows must be caught up each time that the step is a multiple of `ROW_RING`.
 */
import { elementVariants, groups, type Kernel, kernel, type Params, software } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { adamwRowsReference, catchUpReference, currentReference, historyReference } from './adamw-rows.ref.ts';
import { expectTypes } from './shared/check.ts';
import { lanes } from './shared/lanes.ts';

/** Steps that the history holds; kernels/lib/idle_row.wgsl has the same number. */
export const ROW_RING = 16_384;
/** Words of `touched` before the rows; the first is how many there are. */
export const TOUCHED_HEAD = 64;

/** Rows [first, first + V) of a table: values, moments and average [V, D]; with row-wise Adagrad sums [V] instead of moments. */
export interface RowShard {
  first: number;
  params: Tensor;
  m?: Tensor;
  v?: Tensor;
  /** The mean squares of the row's gradients so far, added up (adagrad-rows.ts). */
  sums?: Tensor;
  average?: Tensor;
}

/** What is common to the shards of a table. */
export interface RowState {
  shards: readonly RowShard[];
  /** f32 [S, D]: the gradients of the rows in `touched`; zeros behind them. */
  grads: Tensor;
  /**
   * u32 [TOUCHED_HEAD + 3 S]: how many rows the step reads; then for each, once, its number in the whole table, the step up to
   * which it is done, and the index of its gradient. In the order of the table memory is read faster.
   */
  touched: Tensor;
  /** f32 [ROW_RING, 4]: what idle rows need of each step; see kernels/lib/idle_row.wgsl. */
  history: Tensor;
  /** Which of the options' decays is theirs. */
  decay: 'weightDecay' | 'embeddingDecay' | null;
}

/** What rows need of the optimizer's options (`AdamwOptions` in adamw.ts). */
export interface RowOptions {
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  embeddingDecay?: number;
  /** What the steps are multiplied by, their decay aside; 1 by default. */
  tableRate?: number;
  averageDecay?: number;
  /** With row-wise Adagrad: what the learning rate is multiplied by; 1 by default. */
  rowRate?: number;
  status: Tensor;
}

/** Idle steps after which what a row still moves is a relative 1e-8. */
export function movesOf({ beta1, beta2 }: Pick<RowOptions, 'beta1' | 'beta2'>): number {
  const left = beta1 / Math.sqrt(beta2);
  if (!(left < 1)) throw new Error(`adamw-rows: expected beta1 below the root of beta2, got ${beta1} and ${beta2}`);
  return left === 0 ? 0 : Math.ceil(Math.log(1e-8) / Math.log(left));
}

/** Threads of a row, each for four of its elements or vec4 at a time; on software adapters, where a thread costs most, two. */
export const rowKernel = (name: string): Kernel => {
  const variants = (threads: (p: Params, size: number) => number) =>
    elementVariants(name, 'f32', ['d'], (size) => ({
      grid: (p) => groups(p.rows, 64 / threads(p, size)),
      constants: (p) => ({ LANES: threads(p, size) }),
    }));
  const few = variants(() => 2).map((v) => ({ ...v, tuning: { ...v.tuning, LANES: 2 }, suits: software }));
  return kernel(name, [...few, ...variants((p, size) => lanes(p.d / size / 4))]);
};
const CATCH_UP = rowKernel('rows_catch_up');
const CURRENT = rowKernel('rows_current');
const ADAMW = rowKernel('rows_adamw');
const HISTORY = kernel('rows_history', () => 1);

export const decayOf = ({ decay }: RowState, options: RowOptions): number => (decay && options[decay]) ?? 0;
export const averageOf = ({ averageDecay: d = 0 }: RowOptions): Params => ({
  average_on: d > 0 ? 1 : 0,
  average_decay: d,
});

export function checked(table: RowState, options: RowOptions): void {
  const { averageDecay = 0 } = options;
  if (averageDecay > 0 && decayOf(table, options) > 0)
    throw new Error('adamw-rows: expected no weight decay of a table whose rows have an average, got both');
  expectTypes('adamw-rows', { grads: table.grads, history: table.history });
  expectTypes('adamw-rows', { touched: table.touched, status: options.status }, 'u32');
  for (const { params, m, v, sums, average } of table.shards) {
    expectTypes('adamw-rows', { params, m, v, sums, average });
    for (const t of [m, v, average])
      if (t && t.size !== params.size)
        throw new Error(
          `adamw-rows: sizes differ, params ${showShape(params.shape)}, ${t.label} ${showShape(t.shape)}`,
        );
    for (const t of [params, m, v, average]) if (t) params.device.inPlace('adamw-rows', t);
  }
}

/** What kernels/lib/idle_row.wgsl reads. */
function idleParams(table: RowState, options: RowOptions): Params {
  const { beta1, beta2, eps, averageDecay: d = 0 } = options;
  return {
    moves: movesOf(options),
    moments: table.shards[0].m ? 1 : 0,
    ring: ROW_RING,
    beta1,
    root2: Math.sqrt(beta2),
    log1: Math.log(Math.max(beta1, 1e-30)),
    log2: Math.log(Math.max(beta2, 1e-30)),
    eps,
    decay: decayOf(table, options),
    ...averageOf(options),
    log_average: d > 0 ? Math.log(d) : 0,
    // The first step j with (1 + j) / (10 + j) ≥ d.
    steady: Math.max(1, Math.ceil((10 * d - 1) / (1 - d))),
  };
}

/** Brings the rows of `touched` up to the last step. @returns their values [S, D], where their gradients are; anything behind them */
export function catchUpRows(table: RowState, options: RowOptions): Tensor {
  const { touched, grads } = table;
  const y = grads.device.empty(grads.shape, 'f32', 'rows');
  catchUp(table, options, touched, y, grads.shape[0]);
  return y;
}

/** Brings all rows up to the last step. @param last u32 [rows of the table]: the steps up to which they are done */
export function catchUpAll(table: RowState, options: RowOptions, last: Tensor): void {
  catchUp(table, options, last, null, null);
}

function catchUp(table: RowState, options: RowOptions, touched: Tensor, y: Tensor | null, count: number | null): void {
  checked(table, options);
  const { status } = options;
  for (const { first, params, m = null, v = null, average = null } of table.shards) {
    const [rows, d] = params.shape;
    const part = { v: rows, first, all: y ? 0 : 1, rows: count ?? rows, d };
    const tensors = { status, history: table.history, touched, params, m, v, average, y };
    params.device.run(CATCH_UP, catchUpReference, tensors, { ...part, ...idleParams(table, options) });
  }
}

/**
 * Writes the values of a shard's rows as of the last step to `y`, or with `averageDecay` their average, and changes nothing
 * else. @param last as `catchUpAll` has it
 */
export function currentRows(table: RowState, shard: RowShard, options: RowOptions, last: Tensor, y: Tensor): void {
  checked(table, options);
  const { first, params, m = null, v = null, average = null } = shard;
  const [rows, d] = params.shape;
  params.device.run(
    CURRENT,
    currentReference,
    { status: options.status, history: table.history, last, params, m, v, average, y },
    { v: rows, first, rows, d, ...idleParams(table, options) },
  );
}

/** Notes the step that the status counts. It comes after the norm and before the next `catchUpRows`. */
export function noteStep(table: RowState, options: RowOptions): void {
  const { history } = table;
  const { device } = history;
  device.inPlace('adamw-rows', history);
  const tensors = { state: device.state, status: options.status, history };
  device.run(HISTORY, historyReference, tensors, {
    ring: ROW_RING,
    decay: decayOf(table, options),
    rate: options.tableRate ?? 1,
    ...averageOf(options),
  });
}

/** One step for the rows in `touched`, in place; their gradients are zeroed. */
export function adamwRows(table: RowState, options: RowOptions): void {
  checked(table, options);
  const { grads, touched } = table;
  const { status, beta1, beta2, eps } = options;
  const { device } = grads;
  const betas = { beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2, eps };
  device.inPlace('adamw-rows', grads);
  for (const { first, params, m = null, v = null, average = null } of table.shards) {
    const [rows, d] = params.shape;
    const tensors = { state: device.state, status, touched, grads, params, m, v, average };
    const part = { v: rows, first, rows: grads.shape[0], d };
    const own = { decay: decayOf(table, options), rate: options.tableRate ?? 1, ...averageOf(options) };
    device.run(ADAMW, adamwRowsReference, tensors, { ...part, ...betas, ...own });
  }
}
