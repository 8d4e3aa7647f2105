/** AdamW over all parameters of a model, with global-norm clipping and the sticky non-finite word. */
import type { AdamwOptions, Device, ParameterArena, RowOptions, Tensor } from '../../engine/index.ts';
import { adamwStatus, adamwStep, ROW_RING, STATE, threefry2x32 } from '../../engine/index.ts';

/** A moving average of the weights, where there is to be one, must have been started (`startAverage`). */
export type AdamWOptions = Omit<AdamwOptions, 'loss' | 'status' | 'losses'>;

/** What a step reads from the device's state buffer; see `Device.state`. */
export interface StepState {
  seed: number;
  /** Numbers the random masks, with the seed. The optimizer counts its steps itself. */
  step: number;
  learningRate: number;
  dropout: boolean;
  /** Which of the step's batches this is, from 0: each has dropout masks of its own. */
  part?: number;
}

/** Stream of the seed that keeps the random numbers of a step's later batches apart. */
const PARTS = 0x7ffffffe;
/** Losses kept on the device; read at least this often. */
export const RING = 1024;

export class AdamW {
  readonly options: AdamWOptions;
  /**
   * u32 [16]: word 0 the first step with a non-finite loss or gradient, word 1 the gradient's norm (f32 bits), word 5 the
   * steps taken.
   */
  readonly status: Tensor;
  /** f32 [RING]: the loss of step s at s mod RING. */
  readonly losses: Tensor;
  /** The status with the bias corrections behind it. */
  private readonly words: Tensor;
  private readonly device: Device;
  private readonly parameters: ParameterArena;

  constructor(parameters: ParameterArena, options: AdamWOptions) {
    this.parameters = parameters;
    this.device = parameters.device;
    this.options = options;
    this.words = this.device.tensor(adamwStatus(options), undefined, { label: 'status' });
    this.status = this.device.view(this.words, 0, [16], 'u32', 'status');
    this.losses = this.device.zeros([RING], 'losses');
  }

  /** Goes on after so many steps, as a checkpoint does whose moments the parameters have loaded. */
  continueFrom(steps: number): void {
    this.device.write(this.words, adamwStatus(this.options, steps));
  }

  /**
   * Writes what varies from step to step, the learning rate among it; call it before the step runs. Idle rows of a row
   * table are caught up here before what they need leaves the history: by steps, never by the clock.
   */
  prepare(s: StepState): void {
    if (s.step > 1 && (s.step - 1) % ROW_RING === 0 && !s.part) this.catchUp();
    const words = new Uint32Array(16);
    const floats = new Float32Array(words.buffer);
    words[STATE.SEED] = s.part ? threefry2x32(s.seed, PARTS, 0, s.part)[0] : s.seed >>> 0;
    words[STATE.STEP] = s.step;
    floats[STATE.LEARNING_RATE] = s.learningRate;
    words[STATE.DROPOUT] = s.dropout ? 1 : 0;
    this.device.setState(words);
  }

  /**
   * The rows of the row table that this step reads, as a leaf [S, D] (RowTable.read); null where the parameters have no such
   * table. Call it within the step, before the forward pass.
   */
  rows(): Tensor | null {
    const [table] = this.parameters.rowTables;
    return table ? table.read(this.rowOptions) : null;
  }

  /** Brings all rows of row tables up to the last step. */
  catchUp(): void {
    for (const table of this.parameters.rowTables) table.catchUp(this.rowOptions);
  }

  /**
   * Runs `work` while the parameters hold the values as of the last step, or their moving average, and puts back what they
   * held, bit for bit.
   */
  async showing<T>(averaged: boolean, work: () => Promise<T>): Promise<T> {
    const { parameters } = this;
    const options = averaged ? this.rowOptions : { ...this.rowOptions, averageDecay: 0 };
    const undo = parameters.rowTables.map((table) => table.show(options));
    if (averaged) parameters.exchangeAverage();
    try {
      return await work();
    } finally {
      if (averaged) parameters.exchangeAverage();
      for (const back of undo) back();
    }
  }

  private get rowOptions(): RowOptions {
    return { ...this.options, status: this.words };
  }

  /** Counts a step and makes it, as part of a recorded step or eagerly: norm, clip, update, gradients zeroed. */
  step(loss: Tensor): void {
    adamwStep(this.parameters, { ...this.options, loss, status: this.words, losses: this.losses });
  }

  dispose(): void {
    this.words.dispose();
    this.losses.dispose();
  }
}
