import type { Dataset } from '../dataset.ts';
import { InputError, option } from '../errors.ts';
import type { SideFeatures, SideFeatureRows, SideFeatureSchema } from '../features/side-features.ts';
import { LEAVE_ONE_OUT, type Protocol } from './protocol.ts';
import { temporalBounds } from './temporal.ts';

export type SplitPart = 'train' | 'valid' | 'test';

/**
 * Where a user's parts lie, as counts of events from the oldest on: the first `train` events train; the events
 * [validFrom, validTo) are validation targets, [testFrom, testTo) test targets, predicted from all that came before
 * the first of them. Empty where a user has none.
 */
export interface SplitBounds {
  /** [users] each */
  train: Uint32Array;
  validFrom: Uint32Array;
  validTo: Uint32Array;
  testFrom: Uint32Array;
  testTo: Uint32Array;
}

/** A dataset under a protocol, as views. Training events are always the oldest of a history. */
export class Split {
  readonly dataset: Dataset;
  /** With all parameters, also those that follow from the log (the cuts of `temporal`). */
  readonly protocol: Protocol;
  readonly users: number;
  /** catalogue size V */
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

  /** What the side features were encoded with; empty without any. */
  get sideSchema(): SideFeatureSchema {
    return this.side?.encoder.schema ?? {};
  }

  /** Whether a user may have several targets at once. */
  get manyTargets(): boolean {
    const { name, parameters } = this.protocol;
    return name === 'ratio' || name === 'last-n' || parameters.targets === 'all';
  }

  /** Events of user u that train. */
  trainLength(u: number): number {
    return this.#bounds.train[u];
  }

  /** Items to be predicted after `history(u, part)`, in order of time, a view; empty for users who only train. */
  targets(u: number, part: 'valid' | 'test'): Uint32Array {
    const { items, offsets } = this.dataset;
    const [from, to] = this.targetRange(u, part);
    return items.subarray(offsets[u] + from, offsets[u] + to);
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
   * 'train', all that came before the first target for 'valid' and 'test' (all there is where there is no target).
   */
  history(u: number, part: SplitPart): Uint32Array {
    const { items, offsets } = this.dataset;
    if (part === 'train') return items.subarray(offsets[u], offsets[u] + this.#bounds.train[u]);
    const [from, to] = this.targetRange(u, part);
    return items.subarray(offsets[u], to > from ? offsets[u] + from : offsets[u + 1]);
  }

  /** Times of `history(u, part)`, a view; undefined when the log has none. */
  times(u: number, part: SplitPart): Uint32Array | undefined {
    const { times, offsets } = this.dataset;
    return times?.subarray(offsets[u], offsets[u] + this.history(u, part).length);
  }

  /** Where the events of `history(u, part)` stand in the dataset. */
  positions(u: number, part: SplitPart): Uint32Array {
    const first = this.dataset.offsets[u];
    return Uint32Array.from(this.history(u, part), (_, i) => first + i);
  }

  /** Side features of the last `most` events of `history(u, part)`; undefined without any. */
  sideFeatures(u: number, part: SplitPart, most = Number.POSITIVE_INFINITY): SideFeatureRows | undefined {
    const places = this.side ? this.positions(u, part) : null;
    return places ? this.side?.tokens(u, places.slice(Math.max(0, places.length - most))) : undefined;
  }

  /** Positions with a next item to learn from: each training history has one fewer than its events. */
  trainPositions(): number {
    let positions = 0;
    for (let u = 0; u < this.users; u++) positions += Math.max(0, this.trainLength(u) - 1);
    return positions;
  }

  /** Takes the part's targets away from user u, who is then not evaluated. */
  leaveOut(u: number, part: 'valid' | 'test'): void {
    const b = this.#bounds;
    if (part === 'valid') b.validTo[u] = b.validFrom[u];
    else b.testTo[u] = b.testFrom[u];
  }

  /** Places [from, to) of the part's targets in user u's history. */
  targetRange(u: number, part: 'valid' | 'test'): [number, number] {
    const b = this.#bounds;
    return part === 'valid' ? [b.validFrom[u], b.validTo[u]] : [b.testFrom[u], b.testTo[u]];
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
    case 'cold-items':
      throw new InputError(
        'conflicting-settings',
        `${source}: the protocol cold-items is only for training and evaluation`,
        { setting: 'protocol', value: 'cold-items' },
      );
  }
}

/** Bounds of every user's history, from its length; those of fewer events than `least` only train. */
function boundsOf(
  { offsets }: Dataset,
  of: (length: number) => { train: number; valid: number },
  least = 3,
): SplitBounds {
  const users = offsets.length - 1;
  const make = () => new Uint32Array(users);
  const b: SplitBounds = { train: make(), validFrom: make(), validTo: make(), testFrom: make(), testTo: make() };
  for (let u = 0; u < users; u++) {
    const length = offsets[u + 1] - offsets[u];
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

/** The last event is the test target, the one before it the validation target; fewer than three events only train. */
function leaveOneOut(dataset: Dataset): SplitBounds {
  return boundsOf(dataset, (length) => ({ train: length - 2, valid: 1 }));
}

/**
 * The last share of each history is the test part, the share before it validation: rounded down, at least one event
 * each, and at least one to train on. Fewer than three events only train.
 */
function byRatio(dataset: Dataset, { parameters }: Protocol): SplitBounds {
  // Ten events make 2 at a share of 0.2, whatever its last binary digit.
  const held = (length: number, share: number) => Math.max(1, Math.floor(length * share + 1e-9));
  return boundsOf(dataset, (length) => {
    const test = Math.min(length - 2, held(length, parameters.test as number));
    const valid = Math.min(length - 1 - test, held(length, parameters.valid as number));
    return { train: length - test - valid, valid };
  });
}

/** The last n events are the test part, the n before them validation; users with fewer than 2n + 2 events only train. */
function lastN(dataset: Dataset, { parameters }: Protocol): SplitBounds {
  const n = parameters.n as number;
  return boundsOf(dataset, (length) => ({ train: length - 2 * n, valid: n }), 2 * n + 2);
}

/** How a user comes to have targets under a protocol, for messages. */
export function requiredHistory({ name, parameters }: Protocol): string {
  if (name === 'last-n') return `${2 * Number(parameters.n) + 2} interactions`;
  if (name === 'cold-items') return 'an interaction with a cold item and one with another';
  return name === 'temporal' ? 'an interaction after the cut in time and one before it' : 'three interactions';
}

/**
 * Refuses what no sequence model can learn from.
 *
 * @throws InputError when the catalogue has one item, or no history holds two training events
 */
export function requireTrainable(parts: Split, source: string): void {
  if (parts.items < 2) {
    throw new InputError(
      'too-little-data',
      `${source}: only one item is left, so that there is nothing to choose from`,
      { hint: 'give a larger log' },
    );
  }
  if (parts.trainPositions() === 0) {
    const kept =
      parts.protocol.name === 'cold-items'
        ? 'cold items do not train'
        : parts.protocol.name === 'temporal'
          ? 'what comes after the cuts in time is kept for validation and test'
          : 'the last of three or more are kept for validation and test';
    throw new InputError('too-little-data', `${source}: no user has two interactions to train on (${kept})`, {
      hint: 'give longer histories',
    });
  }
}

/**
 * Refuses figures that a model could have learned by heart: trained (or, for the test part, chosen by validation) on
 * what it is asked to predict, or on what happened after a cut in time.
 *
 * @param trained the log under the model's own protocol
 * @param evaluated the same log under the protocol of the evaluation
 * @throws InputError, one line, with what to do
 */
export function requireUnseen(trained: Split, evaluated: Split, part: 'valid' | 'test', model: string): void {
  const was = trained.protocol.name;
  const now = evaluated.protocol.name;
  let targets = 0;
  let known = 0;
  let future = 0;
  const { clock: times, offsets } = evaluated.dataset;
  const cut = Number(evaluated.protocol.parameters[part === 'valid' ? 'validFrom' : 'testFrom'] ?? Number.NaN);
  for (let u = 0; u < evaluated.users; u++) {
    const [from, to] = evaluated.targetRange(u, part);
    const [validFrom, validTo] = trained.targetRange(u, 'valid');
    const used = part === 'test' && validTo > validFrom ? validTo : trained.trainLength(u);
    targets += to - from;
    known += Math.max(0, Math.min(to, used) - from);
    if (times && now === 'temporal') {
      for (let at = offsets[u]; at < offsets[u] + trained.trainLength(u); at++) if (times[at] >= cut) future++;
    }
  }
  if (known === 0 && future === 0) return;
  const leak =
    known > 0
      ? `its training or validation part holds ${known.toLocaleString('en')} of the ${targets.toLocaleString('en')} ${part} targets`
      : `its training part holds ${future.toLocaleString('en')} interactions from after the cut in time`;
  throw new InputError('trained-on', `${model}: trained under ${was}, and ${leak} of ${now}`, {
    hint: `evaluate it with ${option('protocol', was)}, or train one with ${option('protocol', now)}`,
  });
}
