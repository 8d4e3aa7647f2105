import type { Dataset } from '../dataset.ts';
import { InputError } from '../errors.ts';
import type { SideFeatureSchema } from '../features/event-encoder.ts';
import { type SideFeatures, UNKNOWN_TIME } from '../features/side-features.ts';
import type { SideFeatureRows } from '../features/side-rows.ts';
import { spanAt } from '../spans.ts';
import { emptyBounds, type SplitBounds } from './bounds.ts';
import { LEAVE_ONE_OUT, type Protocol, type RequestTime } from './protocol.ts';
import { temporalBounds } from './temporal.ts';

/** A part that is predicted, not trained on. */
export type HeldOutPart = 'valid' | 'test';
export type SplitPart = 'train' | HeldOutPart;

/** A dataset under a protocol, as views. Training events are always the oldest of a history. */
export class Split {
  readonly dataset: Dataset;
  /** With all parameters, also those that follow from the log (the cuts of `temporal`). */
  readonly protocol: Protocol;
  readonly users: number;
  /** catalog size V */
  readonly items: number;
  /** Side features, where the model reads them. */
  readonly side: SideFeatures | null;
  readonly #bounds: SplitBounds;

  constructor(dataset: Dataset, protocol: Protocol, bounds: SplitBounds, side: SideFeatures | null = null) {
    this.side = side;
    this.dataset = dataset;
    this.protocol = protocol;
    this.users = dataset.offsets.length - 1;
    this.items = dataset.itemIds.length;
    this.#bounds = bounds;
  }

  /** The same split for a model that reads side features, which `side` encodes of this split's dataset. */
  withSide(side: SideFeatures): Split {
    return new Split(this.dataset, this.protocol, this.#bounds, side);
  }

  /** The training events of some users alone, and nothing that is predicted. @param mine [users] 1 for those */
  trainedOn(mine: Uint8Array): Split {
    const bounds = emptyBounds(this.users);
    for (let u = 0; u < this.users; u++) if (mine[u]) bounds.train[u] = this.trainLength(u);
    return new Split(this.dataset, this.protocol, bounds, this.side);
  }

  /** The same without some users: nothing of them trains, and nothing of them is predicted. @param out [users] 1 for those */
  without(out: Uint8Array): Split {
    const kept = (numbers: Uint32Array): Uint32Array => numbers.map((n, u) => (out[u] ? 0 : n));
    const { train, validFrom, validTo, testFrom, testTo } = this.#bounds;
    const bounds = {
      train: kept(train),
      validFrom: kept(validFrom),
      validTo: kept(validTo),
      testFrom: kept(testFrom),
      testTo: kept(testTo),
    };
    return new Split(this.dataset, this.protocol, bounds, this.side);
  }

  /** What the side features were encoded with; empty without any. */
  get sideSchema(): SideFeatureSchema {
    return this.side?.encoder.schema ?? {};
  }

  /** Whether a user may have several targets at once. */
  get manyTargets(): boolean {
    const { name, parameters } = this.protocol;
    return name === 'ratio' || name === 'last-n' || parameters.targets === 'all';
  }

  /** Where user u's events are in the dataset: [from, to). */
  range(u: number): [from: number, to: number] {
    return spanAt(this.dataset.offsets, u);
  }

  /** Number of user u's events that train. */
  trainLength(u: number): number {
    return this.#bounds.train[u] as number;
  }

  /** Items to be predicted after `history(u, part)`, in time order, a view; empty for users who only train. */
  targets(u: number, part: HeldOutPart): Uint32Array {
    const [first] = this.range(u);
    const [from, to] = this.targetRange(u, part);
    return this.dataset.items.subarray(first + from, first + to);
  }

  /** First item to be predicted after `history(u, 'valid')`; −1 for users who only train. */
  validTarget(u: number): number {
    return this.targets(u, 'valid')[0] ?? -1;
  }

  /** First item to be predicted after `history(u, 'test')`; −1 for users who only train. */
  testTarget(u: number): number {
    return this.targets(u, 'test')[0] ?? -1;
  }

  /**
   * What may be known of user u when the part's targets are predicted, oldest first, a view: the training events for
   * 'train', all events before the first target for 'valid' and 'test' (the whole history if there is no target).
   */
  history(u: number, part: SplitPart): Uint32Array {
    const [first, end] = this.range(u);
    const { items } = this.dataset;
    if (part === 'train') return items.subarray(first, first + this.trainLength(u));
    const [from, to] = this.targetRange(u, part);
    return items.subarray(first, to > from ? first + from : end);
  }

  /** Times of `history(u, part)`, a view, and after them that of the request if known; undefined when the log has none. */
  times(u: number, part: SplitPart, request: RequestTime = 'unknown'): Uint32Array | undefined {
    const [first] = this.range(u);
    const asked = this.requested(u, part, request) === UNKNOWN_TIME ? 0 : 1;
    return this.dataset.times?.subarray(first, first + this.history(u, part).length + asked);
  }

  /** Where in the dataset the event is at whose time the part's targets are asked for. */
  protected requested(u: number, part: SplitPart, request: RequestTime): number {
    if (request === 'unknown' || part === 'train') return UNKNOWN_TIME;
    const [from, to] = this.targetRange(u, part);
    return to > from ? this.range(u)[0] + from : UNKNOWN_TIME;
  }

  /** Where the events of `history(u, part)` are in the dataset. */
  positions(u: number, part: SplitPart): Uint32Array {
    const [first] = this.range(u);
    return Uint32Array.from(this.history(u, part), (_, i) => first + i);
  }

  /** Side features of the last `most` events of `history(u, part)`; undefined without any. */
  sideFeatures(
    u: number,
    part: SplitPart,
    most = Number.POSITIVE_INFINITY,
    request: RequestTime = 'unknown',
  ): SideFeatureRows | undefined {
    if (!this.side) return undefined;
    const positions = this.positions(u, part);
    const last = positions.slice(Math.max(0, positions.length - most));
    return this.side.tokens(u, last, this.requested(u, part, request));
  }

  /** Positions with a next item to learn from: each training history has one fewer than its events. */
  trainPositions(): number {
    let positions = 0;
    for (let u = 0; u < this.users; u++) positions += Math.max(0, this.trainLength(u) - 1);
    return positions;
  }

  /** Removes the part's targets of user u, who is then not evaluated. */
  leaveOut(u: number, part: HeldOutPart): void {
    const [from] = this.targetRange(u, part);
    (part === 'valid' ? this.#bounds.validTo : this.#bounds.testTo)[u] = from;
  }

  /** Positions [from, to) of the part's targets in user u's history. */
  targetRange(u: number, part: HeldOutPart): [from: number, to: number] {
    const { validFrom, validTo, testFrom, testTo } = this.#bounds;
    const [from, to] = part === 'valid' ? [validFrom, validTo] : [testFrom, testTo];
    return [from[u] as number, to[u] as number];
  }
}

/**
 * A dataset under a protocol, leave-one-out by default. Copies no events.
 *
 * @param source name of the log, for messages
 * @throws InputError where the log lacks what the protocol needs
 */
export function splitDataset(dataset: Dataset, protocol: Protocol = LEAVE_ONE_OUT, source = 'the log'): Split {
  switch (protocol.name) {
    case 'leave-one-out':
    case 'sampled-100':
      return new Split(dataset, protocol, leaveOneOut(dataset));
    case 'ratio':
      return new Split(dataset, protocol, byRatio(dataset, protocol));
    case 'last-n':
      return new Split(dataset, protocol, lastN(dataset, protocol));
    case 'temporal': {
      const { bounds, resolved } = temporalBounds(dataset, protocol, source);
      return new Split(dataset, resolved, bounds);
    }
    case 'final':
      return new Split(dataset, protocol, allTrain(dataset));
    case 'cold-items':
      throw new InputError(
        'conflicting-settings',
        `${source}: the protocol cold-items is only for training and evaluation`,
        { setting: 'protocol', value: 'cold-items' },
      );
  }
}

/** Bounds of every user's history, from its length; histories of fewer than `least` events only train. */
function boundsOf(
  { offsets }: Dataset,
  of: (length: number) => { train: number; valid: number },
  least = 3,
): SplitBounds {
  const users = offsets.length - 1;
  const b = emptyBounds(users);
  for (let u = 0; u < users; u++) {
    const [first, end] = spanAt(offsets, u);
    const length = end - first;
    const { train, valid } = length < least ? { train: length, valid: 0 } : of(length);
    b.train[u] = train;
    if (length < least) continue;
    b.validFrom[u] = train;
    b.validTo[u] = train + valid;
    b.testFrom[u] = train + valid;
    b.testTo[u] = length;
  }
  return b;
}

/** Nothing is held out. */
function allTrain(dataset: Dataset): SplitBounds {
  return boundsOf(dataset, () => ({ train: 0, valid: 0 }), Number.POSITIVE_INFINITY);
}

/** The last event is the test target, the one before it the validation target; fewer than three events only train. */
function leaveOneOut(dataset: Dataset): SplitBounds {
  return boundsOf(dataset, (length) => ({ train: length - 2, valid: 1 }));
}

/**
 * The last share of each history is the test part, the share before it validation: rounded down, at least one event
 * each, and at least one to train on. Fewer than three events only train.
 */
function byRatio(dataset: Dataset, { parameters }: Protocol): SplitBounds {
  // A share of 0.2 of ten events is 2, despite rounding in binary.
  const heldOut = (length: number, share: number) => Math.max(1, Math.floor(length * share + 1e-9));
  return boundsOf(dataset, (length) => {
    const test = Math.min(length - 2, heldOut(length, parameters.test as number));
    const valid = Math.min(length - 1 - test, heldOut(length, parameters.valid as number));
    return { train: length - test - valid, valid };
  });
}

/** The last n events are the test part, the n before them validation; users with fewer than 2n + 2 events only train. */
function lastN(dataset: Dataset, { parameters }: Protocol): SplitBounds {
  const n = parameters.n as number;
  return boundsOf(dataset, (length) => ({ train: length - 2 * n, valid: n }), 2 * n + 2);
}
