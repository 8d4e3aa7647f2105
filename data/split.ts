import type { Dataset } from './dataset.ts';
import { InputError } from './errors.ts';

export type Part = 'train' | 'valid' | 'test';

/**
 * Leave-one-out, as views on a dataset: a user's last interaction is the test target, the one before it the
 * validation target, the rest trains. Users with fewer than three interactions only train.
 */
export class Split {
  readonly dataset: Dataset;
  readonly users: number;
  /** catalogue size V */
  readonly items: number;

  constructor(dataset: Dataset) {
    this.dataset = dataset;
    this.users = dataset.offsets.length - 1;
    this.items = dataset.itemIds.length;
  }

  /** Events of user u that train. */
  trainLength(u: number): number {
    const length = this.#length(u);
    return length < 3 ? length : length - 2;
  }

  /** Item to be predicted after `history(u, 'valid')`; −1 for users who only train. */
  validTarget(u: number): number {
    return this.#length(u) < 3 ? -1 : this.dataset.items[this.dataset.offsets[u + 1] - 2];
  }

  /** Item to be predicted after `history(u, 'test')`; −1 for users who only train. */
  testTarget(u: number): number {
    return this.#length(u) < 3 ? -1 : this.dataset.items[this.dataset.offsets[u + 1] - 1];
  }

  /**
   * What may be known of user u when the part's target is predicted, oldest first, a view: the training events for
   * 'train' and 'valid', the validation event as well for 'test'.
   */
  history(u: number, part: Part): Uint32Array {
    const { items, offsets } = this.dataset;
    const held = this.#length(u) < 3 ? 0 : part === 'test' ? 1 : 2;
    return items.subarray(offsets[u], offsets[u + 1] - held);
  }

  /** Times of `history(u, part)`, a view; undefined when the log has none. */
  times(u: number, part: Part): Uint32Array | undefined {
    const { times, offsets } = this.dataset;
    return times?.subarray(offsets[u], offsets[u] + this.history(u, part).length);
  }

  /** Positions with a next item to learn from: each training history has one fewer than its events. */
  trainPositions(): number {
    let positions = 0;
    for (let u = 0; u < this.users; u++) positions += Math.max(0, this.trainLength(u) - 1);
    return positions;
  }

  #length(u: number): number {
    return this.dataset.offsets[u + 1] - this.dataset.offsets[u];
  }
}

/** The leave-one-out split of a dataset. Copies nothing. */
export function split(dataset: Dataset): Split {
  return new Split(dataset);
}

/**
 * Refuses what no sequence model can learn from.
 *
 * @throws InputError when the catalogue has one item, or no history holds two training events
 */
export function requireTrainable(parts: Split, source: string): void {
  if (parts.items < 2) {
    throw new InputError(
      `${source}: only one item is left, so that there is nothing to choose from; give a larger log`,
    );
  }
  if (parts.trainPositions() === 0) {
    throw new InputError(
      `${source}: no user has two interactions to train on (the last two of three or more are kept for validation and test); give longer histories`,
    );
  }
}
