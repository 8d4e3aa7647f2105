/** AdamW over all parameters of a model, with global-norm clipping and the sticky non-finite word. */
import type { Device, ParameterArena, Tensor } from '../engine/index.ts';
import { adamwStep, threefry2x32 } from '../engine/index.ts';

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** Of embedding tables. */
  embeddingDecay?: number;
  /** Of the weights' moving average, which the parameters must have begun (`startAverage`); 0 is none. */
  averageDecay?: number;
  /** Largest global norm of the gradient. */
  clip: number;
}

/** What a step reads from the device's state buffer; see `Device.state`. */
export interface StepState {
  seed: number;
  /** From 1 on. */
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
  /** u32 [16]: word 0 the first step with a non-finite loss or gradient, word 1 the gradient's norm (f32 bits). */
  readonly status: Tensor;
  /** f32 [RING]: the loss of step s at s mod RING. */
  readonly losses: Tensor;
  private readonly device: Device;
  private readonly parameters: ParameterArena;

  constructor(parameters: ParameterArena, options: AdamWOptions) {
    this.parameters = parameters;
    this.device = parameters.device;
    this.options = options;
    this.status = this.device.tensor(new Uint32Array(16), [16], { label: 'status' });
    this.losses = this.device.zeros([RING], 'losses');
  }

  /** Writes what varies from step to step; call it before the step runs. */
  prepare(s: StepState): void {
    const words = new Uint32Array(16);
    const floats = new Float32Array(words.buffer);
    words[0] = s.part ? threefry2x32(s.seed, PARTS, 0, s.part)[0] : s.seed >>> 0;
    words[1] = s.step;
    floats[2] = s.learningRate;
    floats[3] = 1 - this.options.beta1 ** s.step;
    floats[4] = 1 - this.options.beta2 ** s.step;
    words[5] = s.dropout ? 1 : 0;
    this.device.setState(words);
  }

  /** The update, as part of a recorded step: norm, clip, update, gradients zeroed. */
  step(loss: Tensor): void {
    adamwStep(this.parameters, { ...this.options, loss, status: this.status, losses: this.losses });
  }

  dispose(): void {
    this.status.dispose();
    this.losses.dispose();
  }
}
