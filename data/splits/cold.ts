/**
 * The cold-item protocol: some items are removed from every history and from training, and are then to be recommended by
 * what is known of them besides.
 *
 *   test    the items of a file, or a seeded draw of a share of the catalogue; input is the whole history without them,
 *           candidates are these items, relevant are all that the user had
 *   valid   a seeded draw among the rest, likewise: training does not know them either, and what it is to learn about cold
 *           items is chosen by them. They belong to the histories of the test
 */
import { alignItems } from './align.ts';
import { selectContext, type Dataset } from '../dataset.ts';
import { InputError } from '../errors.ts';
import type { SideFeatures } from '../features/side-features.ts';
import type { Protocol } from './protocol.ts';
import { seeded } from '../random.ts';
import { type SplitBounds, type SplitPart, Split } from './split.ts';

export type HeldOutPart = 'valid' | 'test';

const STREAM = 0xc01d;

/**
 * Which items are cold, by ID.
 * @param listed the cold items of the test, where a file names them; those that the dataset lacks are left out
 * @throws InputError when none is left on a side
 */
export function drawCold(
  { itemIds }: Pick<Dataset, 'itemIds'>,
  { parameters }: Protocol,
  listed: ReadonlySet<string> | null,
): Map<string, HeldOutPart> {
  const random = seeded(parameters.seed as number, STREAM);
  // In the order of IDs, so that the draw does not hang on the order of the log.
  const ids = [...itemIds].sort();
  const shuffled = (of: string[]): string[] => {
    for (let i = of.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [of[i], of[j]] = [of[j], of[i]];
    }
    return of;
  };
  const share = parameters.share as number;
  const test = listed
    ? ids.filter((id) => listed.has(id))
    : shuffled([...ids]).slice(0, Math.round(share * ids.length));
  const cold = new Map<string, HeldOutPart>(test.map((id) => [id, 'test']));
  const rest = shuffled(ids.filter((id) => !cold.has(id)));
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
  /** User u's events that are not cold in the test, in order of time, as places in the dataset. */
  readonly #known: { offsets: Uint32Array; items: Uint32Array; times: Uint32Array | null; places: Uint32Array };

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
    const { offsets, items } = dataset;
    const users = offsets.length - 1;
    const bounds: SplitBounds = {
      train: new Uint32Array(users),
      validFrom: new Uint32Array(users),
      validTo: new Uint32Array(users),
      testFrom: new Uint32Array(users),
      testTo: new Uint32Array(users),
    };
    const places: number[] = [];
    const known = { offsets: new Uint32Array(users + 1), places: [] as number[] };
    for (let u = 0; u < users; u++) {
      const of: [number[], number[], number[]] = [[], [], []];
      for (let at = offsets[u]; at < offsets[u + 1]; at++) {
        of[kinds[items[at]]].push(at);
        if (kinds[items[at]] !== 2) known.places.push(at);
      }
      for (const group of of) for (const at of group) places.push(at);
      known.offsets[u + 1] = known.places.length;
      const [n, valid, test] = of.map((group) => group.length);
      bounds.train[u] = n;
      // Nothing can be predicted from no history.
      bounds.validFrom[u] = n;
      bounds.validTo[u] = n > 0 ? n + valid : n;
      bounds.testFrom[u] = n + valid;
      bounds.testTo[u] = n + valid > 0 ? n + valid + test : n + valid;
    }
    const pick = <A extends Uint32Array | Float64Array>(values: A | null): A | null =>
      values && (values.map((_, i) => values[places[i]]) as A);
    super(
      {
        ...dataset,
        items: pick(items) as Uint32Array,
        ratings: pick(dataset.ratings),
        times: pick(dataset.times),
        clock: pick(dataset.clock),
        ...(dataset.context && { context: selectContext(dataset.context, Uint32Array.from(places)) }),
      },
      protocol,
      bounds,
      side,
    );
    this.#original = original;
    this.#cold = cold;
    this.warm = kinds.indexOf(1);
    this.testFrom = kinds.indexOf(2);
    const { times } = dataset;
    const moved = new Uint32Array(places.length);
    for (const [now, was] of places.entries()) moved[was] = now;
    this.#known = {
      places: Uint32Array.from(known.places, (at) => moved[at]),
      offsets: known.offsets,
      items: Uint32Array.from(known.places, (at) => items[at]),
      times: times && Uint32Array.from(known.places, (at) => times[at]),
    };
  }

  override withSide(side: SideFeatures): ColdSplit {
    return new ColdSplit(this.#original, this.protocol, this.#cold, side);
  }

  override get manyTargets(): boolean {
    return true;
  }

  /** For the test the whole history without the cold items of the test, in order of time. */
  override history(u: number, part: SplitPart): Uint32Array {
    if (part !== 'test') return super.history(u, 'train');
    return this.#known.items.subarray(this.#known.offsets[u], this.#known.offsets[u + 1]);
  }

  override times(u: number, part: SplitPart): Uint32Array | undefined {
    if (part !== 'test') return super.times(u, 'train');
    return this.#known.times?.subarray(this.#known.offsets[u], this.#known.offsets[u + 1]);
  }

  override positions(u: number, part: SplitPart): Uint32Array {
    if (part !== 'test') return super.positions(u, 'train');
    return this.#known.places.subarray(this.#known.offsets[u], this.#known.offsets[u + 1]);
  }

  /** Rows [from, to) of a part's candidates: its cold items. */
  candidates(part: 'valid' | 'test'): [from: number, to: number] {
    return part === 'valid' ? [this.warm, this.testFrom] : [this.testFrom, this.items];
  }
}
