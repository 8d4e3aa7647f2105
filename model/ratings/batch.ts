/** Windows of ratings on their way to the device: features, bounds, the baseline's prior, and what training adds. */
import type { Random } from '../../data/random.ts';
import type { RatingSideFeatures } from '../../data/ratings/side-features.ts';
import type { RatingWindow } from '../../data/ratings/windows.ts';
import { SideFeatureWriter } from '../../data/features/side-rows.ts';
import { type Device, groupRows, Inputs, rowGroupLayout } from '../../engine/index.ts';
import { FEATURES, type RatingShape, type RatingTargets, type RatingTokens } from './model.ts';
import { SparseInputs } from '../encoders/sparse-inputs.ts';

/** What is known of the rows that windows speak of, a log's or a request's. Values and baselines are in standard units. */
export interface RatingEvents {
  item: Uint32Array;
  level: Uint32Array;
  value: Float32Array;
  /** What the factors predict without having seen the rating. */
  base: Float32Array;
  /** Seconds, or steps of an order; NaN where unknown; null where only the order is known. */
  time: Float64Array | null;
  /** Ratings that train, by item: [V]. */
  itemCounts: Uint32Array;
  /** Of the levels, in standard units, and variance of a rating around its baseline. */
  levels: Float32Array;
  spread: number;
  /** Side features of the rows, and whose each is, for models that read them. */
  side: RatingSideFeatures | null;
  user: Uint32Array;
  /** Of models that read attributes: what they predict of the item without its ratings, and the variance around that. */
  cold: { base: Float32Array; spread: number } | null;
}

/** What training adds to a batch. */
export interface RatingTraining {
  random: Random;
  /** Probabilities with which an item, and what is known of the user or the events of a window, are hidden. */
  idDropout: number;
  sideDropout: number;
}

/** Probabilities below this do not come from the prior: far levels stay reachable for the head. */
const PRIOR_FLOOR = -12;

const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

const spec = (m: number, l: number, k: number) => ({
  items: u32(m),
  levels: u32(m),
  positions: u32(m),
  start: u32(m),
  end: u32(m),
  from: u32(m),
  to: u32(m),
  features: f32(m, FEATURES),
  targetItems: u32(l),
  targetPositions: u32(l),
  targetStart: u32(l),
  targetEnd: u32(l),
  targetFeatures: f32(l, FEATURES),
  prior: f32(l, k),
  itemGroups: u32(rowGroupLayout(m).words),
  levelGroups: u32(rowGroupLayout(m).words),
  targetGroups: u32(rowGroupLayout(l).words),
  picked: f32(l, k),
});

export class RatingBatch {
  /** Room for known ratings and for targets. */
  readonly known: number;
  readonly targets: number;
  private readonly shape: RatingShape;
  private readonly inputs: Inputs<ReturnType<typeof spec>>;
  private readonly side: { known: SparseInputs; targets: SparseInputs } | null;

  /**
   * @param most side features of a rating, at most; for models that read them
   * @param training whether there is a loss
   */
  constructor(device: Device, known: number, targets: number, shape: RatingShape, most: number, training: boolean) {
    this.known = known;
    this.targets = targets;
    this.shape = shape;
    this.inputs = new Inputs(device, spec(known, targets, shape.levels), 'ratings');
    const sparse = (tokens: number) => new SparseInputs(device, tokens, shape.side, most, training);
    this.side = shape.side > 0 ? { known: sparse(known), targets: sparse(targets) } : null;
  }

  get tensors(): RatingTokens & RatingTargets {
    const { side } = this;
    if (!side) return this.inputs.tensors;
    return { ...this.inputs.tensors, side: { known: side.known.sparse, targets: side.targets.sparse } };
  }

  /** Fills the host's mirror with what `packWindows` put together. @param training null where there is no loss */
  stage(windows: readonly RatingWindow[], events: RatingEvents, training: RatingTraining | null): void {
    const { host } = this.inputs;
    const { levels } = this.shape;
    const [known, asked] = [new SideFeatureWriter(), new SideFeatureWriter()];
    const hides = (probability: number): boolean => training?.random.chance(probability) ?? false;
    for (const name of ['start', 'end', 'from', 'to', 'items', 'levels', 'positions'] as const) host[name].fill(0);
    for (const name of ['targetItems', 'targetPositions', 'targetStart', 'targetEnd'] as const) host[name].fill(0);
    host.features.fill(0);
    host.targetFeatures.fill(0);
    host.prior.fill(0);
    host.picked.fill(0);
    let [m, l] = [0, 0];
    for (const { context, targets, positions: order } of windows) {
      const [keys, queries] = [m, l];
      const hide = events.side && { user: hides(training?.sideDropout ?? 0), event: hides(training?.sideDropout ?? 0) };
      const addSide = (writer: SideFeatureWriter, row: number): void => {
        if (hide) events.side?.write(writer, { item: events.item[row], user: events.user[row], row }, hide);
      };
      context.forEach((row, position) => {
        const { item, base } = this.read(events, row, training);
        addSide(known, row);
        host.items[m] = item;
        host.levels[m] = events.level[row];
        host.positions[m] = position;
        host.start[m] = keys;
        host.end[m] = keys + context.length;
        host.from[m] = queries;
        host.to[m] = queries + targets.length;
        const gap = position > 0 ? gapOf(events.time, context[position - 1], row) : 0;
        host.features.set([events.value[row] - base, base, events.value[row], gap], m * FEATURES);
        m++;
      });
      targets.forEach((row, i) => {
        const position = order[i];
        const { item, base, count, spread } = this.read(events, row, training);
        addSide(asked, row);
        host.targetItems[l] = item;
        host.targetPositions[l] = position;
        host.targetStart[l] = keys;
        host.targetEnd[l] = keys + context.length;
        host.targetFeatures.set(
          [
            base,
            base * base,
            Math.log1p(context.length) / 5,
            Math.log1p(count) / 5,
            position > 0 ? gapOf(events.time, context[position - 1], row) : 0,
            position < context.length ? gapOf(events.time, row, context[position]) : 0,
            Number(position === 0),
            Number(position === context.length),
          ],
          l * FEATURES,
        );
        for (let k = 0; k < levels; k++) {
          host.prior[l * levels + k] = Math.max(PRIOR_FLOOR, -((events.levels[k] - base) ** 2) / (2 * spread));
        }
        if (training) host.picked[l * levels + events.level[row]] = -1;
        l++;
      });
    }
    this.side?.known.stage(known.finish());
    this.side?.targets.stage(asked.finish());
    if (!training) return;
    for (let i = 0; i < l * levels; i++) host.picked[i] /= l;
    groupRows(host.items, m, this.known, host.itemGroups);
    groupRows(host.levels, m, this.known, host.levelGroups);
    groupRows(host.targetItems, l, this.targets, host.targetGroups);
  }

  /** How a row's item is read: as itself, or as an unrated one. */
  private read({ item, base, itemCounts, spread, cold }: RatingEvents, row: number, training: RatingTraining | null) {
    const count = itemCounts[item[row]];
    if (cold && (count === 0 || training?.random.chance(training.idDropout))) {
      return { item: this.shape.items, base: cold.base[row], count: 0, spread: cold.spread };
    }
    return { item: item[row], base: base[row], count, spread };
  }

  upload(): void {
    this.inputs.upload();
    this.side?.known.upload();
    this.side?.targets.upload();
  }

  dispose(): void {
    this.inputs.dispose();
    this.side?.known.dispose();
    this.side?.targets.dispose();
  }
}

/** How far apart two rows are in time, from 0 to about 2: log10(1 + difference) / 4; 0 where it is unknown. */
function gapOf(time: Float64Array | null, before: number, after: number): number {
  if (!time) return 0;
  const gap = time[after] - time[before];
  return gap > 0 ? Math.min(2.5, Math.log10(1 + gap) / 4) : 0;
}
