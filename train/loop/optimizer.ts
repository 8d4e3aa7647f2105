/** AdamW over all parameters of a model, with global-norm clipping and the sticky non-finite word. */
import type { AdamwOptions, Device, ParameterArena, Tensor } from '../../engine/index.ts';
import { adamwStatus, adamwStep, STATE, threefry2x32 } from '../../engine/index.ts';

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

  /** Writes what varies from step to step, the learning rate among it; call it before the step runs. */
  prepare(s: StepState): void {
    const words = new Uint32Array(16);
    const floats = new Float32Array(words.buffer);
    words[STATE.SEED] = s.part ? threefry2x32(s.seed, PARTS, 0, s.part)[0] : s.seed >>> 0;
    words[STATE.STEP] = s.step;
    floats[STATE.LEARNING_RATE] = s.learningRate;
    words[STATE.DROPOUT] = s.dropout ? 1 : 0;
    this.device.setState(words);
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
