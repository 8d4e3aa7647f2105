/** AdamW over all parameters of a model, with global-norm clipping and the sticky non-finite word. */
import { ROW_RING, type RowOptions } from '../ops/adamw-rows.ts';
import { type AdamwOptions, adamwStatus, adamwStep } from '../ops/adamw.ts';
import type { ParameterArena } from '../parameters/arena.ts';
import type { RowTable } from '../parameters/row-table.ts';
import type { Tensor } from '../tensor.ts';
import { Optimizer, type OptimizerOptions, type ParameterTree, type PreparedStep } from './optimizer.ts';

/** Learning rate 0.001, β 0.9 and 0.999, ε 1e-8, weight decay 0.01, no clipping: PyTorch's defaults. */
export type AdamWOptions = OptimizerOptions & Partial<Omit<AdamwOptions, 'loss' | 'status' | 'losses'>>;

type Known = OptimizerOptions & Omit<AdamwOptions, 'loss' | 'status' | 'losses'>;

const DEFAULTS = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, clip: 0 };

/**
 * AdamW (Loshchilov & Hutter 2019, Alg. 2). Before a step the host calls `prepare()`; within it, after `backward()`,
 * `step(loss)` updates the parameters and zeroes their gradients.
 *
 * Parameters are an arena, which takes three dispatches whatever the number of layers, or leaves in lists and objects of
 * any depth, two dispatches each. Weight decay acts on leaves of two axes and more; an arena's parameters say so themselves.
 * @throws Error for parameters that are no leaves, and for betas outside of [0, 0.99999]
 */
export class AdamW extends Optimizer {
  readonly options: Known;

  constructor(parameters: ParameterArena | ParameterTree, options: AdamWOptions = {}) {
    const known = { ...DEFAULTS, ...options };
    super('adamw', parameters, known, 1e-3, adamwStatus(known), ['m', 'v']);
    this.options = known;
  }

  protected override statusAfter(steps: number): Uint32Array {
    return adamwStatus(this.options, steps);
  }

  /** Idle rows of a row table are caught up here before what they need leaves the history: by steps, never by the clock. */
  override prepare(s: PreparedStep = {}): void {
    const step = s.step ?? this.device.steps.step + 1;
    if (step > 1 && (step - 1) % ROW_RING === 0 && !s.part) this.catchUp();
    super.prepare(s);
  }

  private get rowTables(): readonly RowTable[] {
    return this.parameters.rowTables ?? [];
  }

  /**
   * The rows of the row table that this step reads, as a leaf [S, D] (RowTable.read); null where the parameters have no such
   * table. Call it within the step, before the forward pass.
   */
  rows(): Tensor | null {
    const [table] = this.rowTables;
    return table ? table.read(this.rowOptions) : null;
  }

  /** Brings all rows of row tables up to the last step. */
  catchUp(): void {
    for (const table of this.rowTables) table.catchUp(this.rowOptions);
  }

  /**
   * Runs `work` while the parameters hold the values as of the last step, or their moving average, and puts back what they
   * held, bit for bit.
   */
  async showing<T>(averaged: boolean, work: () => Promise<T>): Promise<T> {
    const { parameters } = this;
    const options = averaged ? this.rowOptions : { ...this.rowOptions, averageDecay: 0 };
    const undo = this.rowTables.map((table) => table.show(options));
    if (averaged) parameters.exchangeAverage?.();
    try {
      return await work();
    } finally {
      if (averaged) parameters.exchangeAverage?.();
      for (const back of undo) back();
    }
  }

  private get rowOptions(): RowOptions {
    return { ...this.options, status: this.words };
  }

  override step(loss?: Tensor): void {
    adamwStep(this.parameters as ParameterArena, { ...this.options, loss, status: this.words, losses: this.losses });
  }
}
