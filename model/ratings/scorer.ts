/** Predictions of the rating transformer: the distribution over the levels for every target of some windows. */
import { packWindows, type RatingWindow } from '../../data/ratings/windows.ts';
import { type Program, softmax, type Tensor } from '../../engine/index.ts';
import { RatingBatch, type RatingEvents } from './batch.ts';
import { roundUp } from '../inference/batcher.ts';
import { requireFinite } from '../inference/ranks.ts';
import type { RatingModel } from './model.ts';

interface Room {
  batch: RatingBatch;
  program: Program<{ probabilities: Tensor }>;
  /** The most side features of one rating. */
  most: number;
}

export class RatingScorer {
  private readonly model: RatingModel;
  private readonly batches = new Map<number, Room>();

  constructor(model: RatingModel) {
    this.model = model;
  }

  /**
   * Calls `each` with a target's row and its probabilities [K], a view that the next call overwrites.
   * @param onProgress awaited after each batch with the number of windows done; it may throw to stop
   */
  async score(
    windows: readonly RatingWindow[],
    events: RatingEvents,
    each: (row: number, probabilities: Float32Array) => void,
    onProgress?: (done: number) => void | Promise<void>,
  ): Promise<void> {
    const { settings, shape } = this.model;
    const { levels } = shape;
    const known = windows.reduce((sum, w) => sum + w.context.length, 0);
    const targets = windows.reduce((sum, w) => sum + w.targets.length, 0);
    const most = events.side?.maxEntries ?? 0;
    const { batch, program } = this.room(Math.max(known, 2 * targets), settings.budget, most);
    let done = 0;
    for (const packed of packWindows(windows, batch.known, batch.targets)) {
      batch.stage(packed, events, null);
      batch.upload();
      const probabilities = (await program.values()).probabilities as Float32Array;
      let at = 0;
      for (const { targets: rows } of packed) {
        for (const row of rows)
          each(row, requireFinite(probabilities.subarray(at, (at += levels)), 'rating probabilities'));
      }
      done += packed.length;
      await onProgress?.(done);
    }
  }

  /** The smallest power of two that fits, up to twice the training's batch. */
  private room(wanted: number, budget: number, most: number) {
    const size = Math.min(roundUp(2 * budget), roundUp(wanted, 64));
    let room = this.batches.get(size);
    if (room && room.most < most) {
      room.program.dispose();
      room.batch.dispose();
      room = undefined;
    }
    if (!room) {
      const { model } = this;
      const { device } = model;
      const batch = new RatingBatch(device, size, size / 2, model.shape, most, false);
      const program = device.program(`rate ${size}`, () =>
        device.noGrad(() => ({ probabilities: softmax(model.logits(batch.tensors)) })),
      );
      room = { batch, program, most };
      this.batches.set(size, room);
    }
    return room;
  }

  dispose(): void {
    for (const { batch, program } of this.batches.values()) {
      program.dispose();
      batch.dispose();
    }
    this.batches.clear();
  }
}

/** Σ probability · level. */
export function meanOf(probabilities: ArrayLike<number>, levels: ArrayLike<number>): number {
  let mean = 0;
  for (let k = 0; k < levels.length; k++) mean += probabilities[k] * levels[k];
  return mean;
}

/** The first level at which half of the probabilities is reached: what minimizes the expected absolute error. */
export function medianOf(probabilities: ArrayLike<number>, levels: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < levels.length; k++) {
    sum += probabilities[k];
    if (sum >= 0.5) return levels[k];
  }
  return levels[levels.length - 1];
}
