/**
 * The cold-item protocol: some items are removed from every history and from training, and then recommended by their
 * attributes alone.
 *
 *   test    the items of a file, or a seeded draw of a share of the catalog; the input is the whole history without them,
 *           the candidates are these items, and all that the user interacted with are relevant
 *   valid   a seeded draw among the rest, likewise: they do not train either, and the settings for cold items are chosen
 *           by them. They belong to the histories of the test
 */
import { inMemory } from '../column.ts';
import { type Dataset, selectEvents } from '../dataset.ts';
import { InputError } from '../errors.ts';
import { type SideFeatures, UNKNOWN_TIME } from '../features/side-features.ts';
import { seeded, shuffle } from '../random.ts';
import { spanAt, take } from '../spans.ts';
import { alignItems } from './align.ts';
import type { Protocol } from './protocol.ts';
import { emptyBounds } from './bounds.ts';
import { type HeldOutPart, Split, type SplitPart } from './split.ts';

const STREAM = 0xc01d;

/**
 * Which items are cold, by ID.
 * @param listed the cold items of the test, if a file names them; those that the dataset lacks are left out
 * @throws InputError when a part has none
 */
export function drawCold(
  { itemIds }: Pick<Dataset, 'itemIds'>,
  { parameters }: Protocol,
  listed: ReadonlySet<string> | null,
): Map<string, HeldOutPart> {
  const random = seeded(parameters.seed as number, STREAM);
  // In the order of IDs, so that the draw does not depend on the order of the log.
  const ids = [...itemIds].sort();
  const share = parameters.share as number;
  const test = listed
    ? ids.filter((id) => listed.has(id))
    : shuffle([...ids], random).slice(0, Math.round(share * ids.length));
  const cold = new Map<string, HeldOutPart>(test.map((id) => [id, 'test']));
  const rest = shuffle(
    ids.filter((id) => !cold.has(id)),
    random,
  );
  for (const id of rest.slice(0, Math.round((parameters.valid as number) * rest.length))) cold.set(id, 'valid');
  const held = cold.size - test.length;
  if (test.length === 0) {
    throw new InputError(
      listed ? 'mismatched-data' : 'too-little-data',
      listed ? 'none of its items is in the log' : `a share of ${share} of ${ids.length} items leaves none to test on`,
      listed
        ? { setting: 'coldItems', hint: 'give IDs of the log, one on each line' }
        : { setting: 'protocol', value: 'cold-items', hint: 'raise the share' },
    );
  }
  if (held === 0 || ids.length - cold.size < 2) {
    throw new InputError(
      'too-little-data',
      `of ${ids.length} items ${test.length} are cold, which leaves too few to train and validate on`,
      { setting: 'protocol', value: 'cold-items', hint: 'make fewer of them cold' },
    );
  }
  return cold;
}

/** IDs in the order of a model's rows: items that train, cold items of the validation, cold items of the test. */
export function coldOrder(ids: readonly string[], cold: ReadonlyMap<string, HeldOutPart>): string[] {
  const of = (kind: HeldOutPart | undefined) => ids.filter((id) => cold.get(id) === kind);
  return [...of(undefined), ...of('valid'), ...of('test')];
}

/** A log under the cold-item protocol. Item rows are those of `coldOrder`. */
export class ColdSplit extends Split {
  /** Items that train have the rows below `warm`, cold ones of the validation those below `testFrom`. */
  readonly warm: number;
  readonly testFrom: number;
  /** User u's events with items that are not cold in the test, in time order; `positions` are those in the dataset. */
  readonly #known: { offsets: Uint32Array; items: Uint32Array; times?: Uint32Array; positions: Uint32Array };
  readonly #original: Dataset;
  readonly #cold: ReadonlyMap<string, HeldOutPart>;

  constructor(
    original: Dataset,
    protocol: Protocol,
    cold: ReadonlyMap<string, HeldOutPart>,
    side: SideFeatures | null = null,
  ) {
    const order = coldOrder(original.itemIds, cold);
    const { dataset } = alignItems(original, order);
    const kinds = Uint8Array.from(order, (id) => ({ valid: 1, test: 2, none: 0 })[cold.get(id) ?? 'none']);
    const { offsets, times } = dataset;
    const items = inMemory(dataset.items);
    const users = offsets.length - 1;
    const bounds = emptyBounds(users);
    const knownOffsets = new Uint32Array(users + 1);
    // Each user's training events first, then those of the validation, then those of the test.
    const positions: number[] = [];
    const known: number[] = [];
    for (let u = 0; u < users; u++) {
      const [train, valid, test]: [number[], number[], number[]] = [[], [], []];
      const [from, to] = spanAt(offsets, u);
      for (let at = from; at < to; at++) {
        const kind = kinds[items[at] as number];
        (kind === 0 ? train : kind === 1 ? valid : test).push(at);
        if (kind !== 2) known.push(at);
      }
      for (const group of [train, valid, test]) for (const at of group) positions.push(at);
      knownOffsets[u + 1] = known.length;
      const testFrom = train.length + valid.length;
      bounds.train[u] = train.length;
      // Nothing can be predicted from an empty history.
      bounds.validFrom[u] = train.length;
      bounds.validTo[u] = train.length > 0 ? testFrom : 0;
      bounds.testFrom[u] = testFrom;
      bounds.testTo[u] = testFrom > 0 ? testFrom + test.length : 0;
    }
    super({ ...dataset, ...selectEvents(dataset, positions) }, protocol, bounds, side);
    this.#original = original;
    this.#cold = cold;
    this.warm = kinds.indexOf(1);
    this.testFrom = kinds.indexOf(2);
    const moved = new Uint32Array(positions.length);
    for (const [now, was] of positions.entries()) moved[was] = now;
    this.#known = {
      offsets: knownOffsets,
      items: take(items, known),
      ...(times && { times: take(times, known) }),
      positions: take(moved, known),
    };
  }

  override withSide(side: SideFeatures): ColdSplit {
    return new ColdSplit(this.#original, this.protocol, this.#cold, side);
  }

  override get manyTargets(): boolean {
    return true;
  }

  /** For the test the whole history without the cold items of the test, in time order. */
  override history(u: number, part: SplitPart): Uint32Array {
    return part === 'test' ? this.#knownOf(u, this.#known.items) : super.history(u, 'train');
  }

  override times(u: number, part: SplitPart): Uint32Array | undefined {
    const { times } = this.#known;
    return part === 'test' ? times && this.#knownOf(u, times) : super.times(u, 'train');
  }

  override positions(u: number, part: SplitPart): Uint32Array {
    return part === 'test' ? this.#knownOf(u, this.#known.positions) : super.positions(u, 'train');
  }

  /** Histories hold what came after a target, too, so that its time has no meaning. */
  protected override requested(): number {
    return UNKNOWN_TIME;
  }

  #knownOf(u: number, values: Uint32Array): Uint32Array {
    const { offsets } = this.#known;
    return values.subarray(offsets[u], offsets[u + 1]);
  }

  /** Rows [from, to) of a part's candidates: its cold items. */
  candidates(part: HeldOutPart): [from: number, to: number] {
    return part === 'valid' ? [this.warm, this.testFrom] : [this.testFrom, this.items];
  }
}
