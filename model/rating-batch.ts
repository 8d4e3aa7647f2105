/** Windows of ratings on their way to the device: features, bounds, the baseline's prior, and what training adds. */
import type { RatingWindow } from '../data/rating-windows.ts';
import { type Device, groupRows, Inputs, rowGroupLayout } from '../engine/index.ts';
import { FEATURES, type RatingTargets, type RatingTokens } from './rating-model.ts';

/** What is known of the rows that windows speak of, a log's or a request's. Values and baselines are in standard units. */
export interface RatingEvents {
  item: Uint32Array;
  level: Uint32Array;
  value: Float32Array;
  /** What the factors predict without having seen the rating. */
  base: Float32Array;
  /** NaN where unknown; null where only the order is known. */
  time: Float64Array | null;
  /** Ratings that train, by item: [V]. */
  itemCounts: Uint32Array;
  /** Of the levels, in standard units, and variance of a rating around its baseline. */
  levels: Float32Array;
  spread: number;
}

/** Probabilities below this do not come from the prior: far levels stay reachable for the head. */
const PRIOR_FLOOR = -12;

const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
const f32 = (...shape: number[]) => ({ shape, dtype: 'f32' as const });

const spec = (m: number, l: number, k: number) => ({
  items: u32(m),
  levels: u32(m),
  places: u32(m),
  start: u32(m),
  end: u32(m),
  from: u32(m),
  to: u32(m),
  features: f32(m, FEATURES),
  targetItems: u32(l),
  targetPlaces: u32(l),
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
  private readonly levels: number;
  private readonly inputs: Inputs<ReturnType<typeof spec>>;

  constructor(device: Device, known: number, targets: number, levels: number) {
    this.known = known;
    this.targets = targets;
    this.levels = levels;
    this.inputs = new Inputs(device, spec(known, targets, levels), 'ratings');
  }

  get tensors(): RatingTokens & RatingTargets {
    return this.inputs.tensors;
  }

  /** Fills the host's mirror with what `packWindows` put together. @param training whether there is a loss */
  stage(windows: readonly RatingWindow[], events: RatingEvents, training: boolean): void {
    const { host } = this.inputs;
    for (const name of ['start', 'end', 'from', 'to', 'items', 'levels', 'places'] as const) host[name].fill(0);
    for (const name of ['targetItems', 'targetPlaces', 'targetStart', 'targetEnd'] as const) host[name].fill(0);
    host.features.fill(0);
    host.targetFeatures.fill(0);
    host.prior.fill(0);
    host.picked.fill(0);
    let [m, l] = [0, 0];
    for (const { context, targets, places } of windows) {
      const [keys, queries] = [m, l];
      context.forEach((row, place) => {
        host.items[m] = events.item[row];
        host.levels[m] = events.level[row];
        host.places[m] = place;
        host.start[m] = keys;
        host.end[m] = keys + context.length;
        host.from[m] = queries;
        host.to[m] = queries + targets.length;
        const gap = place > 0 ? gapOf(events.time, context[place - 1], row) : 0;
        host.features.set(
          [events.value[row] - events.base[row], events.base[row], events.value[row], gap],
          m * FEATURES,
        );
        m++;
      });
      targets.forEach((row, i) => {
        const place = places[i];
        host.targetItems[l] = events.item[row];
        host.targetPlaces[l] = place;
        host.targetStart[l] = keys;
        host.targetEnd[l] = keys + context.length;
        const base = events.base[row];
        host.targetFeatures.set(
          [
            base,
            base * base,
            Math.log1p(context.length) / 5,
            Math.log1p(events.itemCounts[events.item[row]]) / 5,
            place > 0 ? gapOf(events.time, context[place - 1], row) : 0,
            place < context.length ? gapOf(events.time, row, context[place]) : 0,
            Number(place === 0),
            Number(place === context.length),
          ],
          l * FEATURES,
        );
        for (let k = 0; k < this.levels; k++) {
          host.prior[l * this.levels + k] = Math.max(
            PRIOR_FLOOR,
            -((events.levels[k] - base) ** 2) / (2 * events.spread),
          );
        }
        if (training) host.picked[l * this.levels + events.level[row]] = -1;
        l++;
      });
    }
    if (!training) return;
    for (let i = 0; i < l * this.levels; i++) host.picked[i] /= l;
    groupRows(host.items, m, this.known, host.itemGroups);
    groupRows(host.levels, m, this.known, host.levelGroups);
    groupRows(host.targetItems, l, this.targets, host.targetGroups);
  }

  upload(): void {
    this.inputs.upload();
  }

  dispose(): void {
    this.inputs.dispose();
  }
}

/** How far apart two rows are in time, from 0 to about 2: log10(1 + difference) / 4; 0 where it is unknown. */
function gapOf(time: Float64Array | null, before: number, after: number): number {
  if (!time) return 0;
  const gap = time[after] - time[before];
  return gap > 0 ? Math.min(2.5, Math.log10(1 + gap) / 4) : 0;
}
