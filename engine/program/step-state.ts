/** What varies between the runs of a recorded step, on the host and in one buffer of 16 words that kernels read. */
import type { Device } from '../device.ts';
import { STATE } from '../state.ts';
import { Storage, Tensor } from '../tensor.ts';

export class StepState {
  /** Whether a learning rate was ever set. */
  isSet = false;
  /** Tensors of random numbers made since the seed was set. */
  streams = 0;
  private readonly words = new Uint32Array(16);
  private readonly device: Device;
  private made: Tensor | null = null;

  constructor(device: Device) {
    this.device = device;
  }

  /** u32 [16] on the device; made when first used. */
  get tensor(): Tensor {
    if (!this.made) {
      const { device } = this;
      const storage = new Storage(256, 'state', false);
      device.allocate(storage, 'u32');
      storage.written = true;
      this.made = new Tensor(device, storage, [16], 'u32', 'state');
      device.gpu?.clear(storage);
      device.hostView(this.made)?.fill(0);
    }
    return this.made;
  }

  get seed(): number {
    return this.words[STATE.SEED];
  }

  get step(): number {
    return this.words[STATE.STEP];
  }

  get training(): boolean {
    return this.words[STATE.DROPOUT] !== 0;
  }

  /** Writes all words. */
  set(words: Uint32Array): void {
    this.isSet = true;
    this.write(words);
  }

  /** Changes some of what the words say; a learning rate sets them all. */
  change(to: { seed?: number; step?: number; learningRate?: number; training?: boolean; frozen?: boolean }): void {
    const words = this.words.slice();
    if (to.seed !== undefined) words[STATE.SEED] = to.seed;
    if (to.step !== undefined) words[STATE.STEP] = to.step;
    if (to.training !== undefined) words[STATE.DROPOUT] = to.training ? 1 : 0;
    if (to.frozen !== undefined) words[STATE.FROZEN] = to.frozen ? 1 : 0;
    if (to.learningRate !== undefined) {
      new Float32Array(words.buffer)[STATE.LEARNING_RATE] = to.learningRate;
      this.isSet = true;
    }
    this.write(words);
  }

  private write(words: Uint32Array): void {
    this.device.write(this.tensor, words);
    this.words.set(words);
  }
}
