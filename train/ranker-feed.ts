/**
 * What a training step of the ranker reads: some positions of a packed batch, each with its next item and negatives.
 *
 * The ranker is to order what the first stage retrieves, so that it learns from positions whose next item is among the
 * candidates there, and its negatives are other candidates, all alike likely: were candidates and other items drawn with
 * different chances, the scores would have to tell the two apart first (they tend to log p − log q, q the chance of a draw).
 */
import type { Batch } from '../data/batches.ts';
import { type Random, seeded } from '../data/random.ts';
import { type Device, groupRows, Inputs, rowGroupLayout, type Tensor } from '../engine/index.ts';
import { Feed, type Needs } from './feed.ts';
import type { PackedTokens } from '../model/blocks/context.ts';
import type { RankerGroups, RankerTokens } from '../model/ranker.ts';
import type { RankerSettings } from '../model/ranker-settings.ts';

/** Candidates of a step, all positions together: about as much work as the tokens of an encoder's batch. */
const ROWS = 6144;

/** Positions that are looked at for each that is trained on: at so many the next item is hardly a candidate. */
const LOOKED_AT = 1.75;

/** How many positions of a batch are trained on, each with 1 + N candidates. */
const positionsOf = ({ rankerNegatives }: RankerSettings, budget: number): number =>
  Math.max(1, Math.min(Math.ceil(budget / 2), Math.floor(ROWS / (rankerNegatives + 1))));

/** A position that is trained on: its row, what is no negative there, and the candidates beside the next item. */
interface Kept {
  t: number;
  taken: Set<number>;
  others: number[];
}

function inputSpec(budget: number, positions: number, rows: number) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });
  const candidates = rowGroupLayout(rows).words;
  return {
    /** Rows of the positions that are looked at. */
    chosen: u32(Math.ceil(LOOKED_AT * positions)),
    candidates: u32(rows),
    rows: u32(rows),
    places: u32(rows),
    start: u32(rows),
    end: u32(rows),
    from: u32(budget),
    to: u32(budget),
    /** 1 for the next item, 0 for negatives; and of each candidate's loss (bce), of each position's (softmax). */
    labels: f32(rows),
    rowWeights: f32(rows),
    weights: f32(positions),
    candidateGroups: u32(candidates),
    placeGroups: u32(candidates),
  };
}

export class RankerFeed {
  readonly positions: number;
  private readonly settings: RankerSettings;
  private readonly items: number;
  /** Cumulated counts of the items in training. */
  private readonly cumulated: Float64Array;
  private readonly encoded: Feed;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  /** Positions of the batch that are looked at. */
  private looked = 0;
  private random: Random = seeded(0, 0);
  private batch: Batch | null = null;

  /** @param counts of the items in training @param needs of the encoder's batches */
  constructor(device: Device, settings: RankerSettings & { budget: number }, counts: Uint32Array, needs: Needs) {
    const { budget } = settings;
    this.settings = settings;
    this.items = counts.length;
    this.positions = positionsOf(settings, budget);
    let total = 0;
    this.cumulated = Float64Array.from(counts, (n) => (total += n));
    const rows = this.positions * (settings.rankerNegatives + 1);
    this.inputs = new Inputs(device, inputSpec(budget, this.positions, rows), 'ranker batch');
    this.encoded = new Feed(device, budget, needs);
  }

  /** What the encoder reads. */
  get tokens(): PackedTokens {
    return this.encoded.tensors;
  }

  get chosen(): Tensor {
    return this.inputs.tensors.chosen;
  }

  get ranked(): RankerTokens {
    const { items, positions } = this.encoded.tensors;
    return { ...this.inputs.tensors, items, positions };
  }

  get groups(): RankerGroups {
    const { itemGroups, positionGroups } = this.encoded.tensors;
    const { candidateGroups, placeGroups } = this.inputs.tensors;
    return { items: itemGroups, positions: positionGroups, candidates: candidateGroups, places: placeGroups };
  }

  get labels(): Record<'labels' | 'rowWeights' | 'weights', Tensor> {
    return this.inputs.tensors;
  }

  /** Takes a batch, and draws the positions that are looked at. */
  take(batch: Batch, seed: number, stream: number): void {
    const { host } = this.inputs;
    this.batch = batch;
    this.random = seeded(seed ^ 0x2a4e6f, stream);
    this.encoded.stage(batch);
    this.looked = Math.min(host.chosen.length, batch.tokens);
    host.chosen.fill(0);
    // The first so many of a shuffled batch in their order, without shuffling it.
    let left = this.looked;
    for (let i = 0, n = 0; i < batch.tokens; i++) {
      if (this.random.next() * (batch.tokens - i) >= left) continue;
      host.chosen[n++] = i;
      left--;
    }
    this.encoded.upload();
    this.inputs.upload();
  }

  /**
   * Takes the positions whose next item is a candidate, and draws their negatives.
   * @param best [positions looked at, k] item rows that the first stage ranks best, best first
   * @returns how many positions are trained on
   */
  draw(best: Uint32Array, k: number): number {
    const { host } = this.inputs;
    const { rankerNegatives: n, rankerHard } = this.settings;
    const { targets, start, end } = this.batch as Batch;
    const width = n + 1;
    for (const name of ['candidates', 'rows', 'places', 'start', 'end', 'from', 'to'] as const) host[name].fill(0);
    for (const name of ['labels', 'rowWeights', 'weights'] as const) host[name].fill(0);
    const kept = this.retrieved(best, k);
    const total = kept.length * width;
    kept.forEach(({ t, taken, others }, p) => {
      const from = p * width;
      host.candidates[from] = targets[t];
      host.labels[from] = 1;
      for (let c = 1; c < width; c++) {
        const item = c <= Math.round(n * rankerHard) ? this.takeFrom(others) : null;
        host.candidates[from + c] = item ?? this.other(taken);
      }
      host.rows.fill(t, from, from + width);
      host.places.fill(t - start[t], from, from + width);
      host.start.fill(start[t], from, from + width);
      host.end.fill(t + 1, from, from + width);
      host.rowWeights.fill(1 / total, from, from + width);
      host.weights[p] = 1 / kept.length;
    });
    // A key is read by the positions from it to the end of its sequence.
    for (let p = 0; p < kept.length; ) p = this.spread(kept, p, end[kept[p].t]);
    groupRows(host.candidates, total, this.positions * width, host.candidateGroups);
    groupRows(host.places, total, this.positions * width, host.placeGroups);
    this.inputs.upload();
    return kept.length;
  }

  /** The positions whose next item is a candidate, in order, with the other candidates; not more than are trained on. */
  private retrieved(best: Uint32Array, k: number): Kept[] {
    const { items, targets, start } = this.batch as Batch;
    const found: Kept[] = [];
    for (let p = 0; p < this.looked; p++) {
      const t = this.inputs.host.chosen[p];
      const taken = new Set(items.subarray(start[t], t + 1));
      const list = Array.from(best.subarray(p * k, (p + 1) * k)).filter(
        (item) => item < this.items && !taken.has(item),
      );
      const others = list.slice(0, this.settings.rankerCandidates);
      const at = others.indexOf(targets[t]);
      if (at < 0) continue;
      others.splice(at, 1);
      found.push({ t, taken: taken.add(targets[t]), others });
    }
    // The first so many of a shuffled list in their order, without shuffling it.
    let left = Math.min(this.positions, found.length);
    return found.filter((_, i) => {
      if (this.random.next() * (found.length - i) >= left) return false;
      left--;
      return true;
    });
  }

  /** The queries of each key of the sequence whose first position is the p-th; gives the first of the next sequence. */
  private spread(kept: readonly Kept[], p: number, end: number): number {
    const { host } = this.inputs;
    const width = this.settings.rankerNegatives + 1;
    let to = p;
    while (to < kept.length && kept[to].t < end) to++;
    let q = p;
    for (let j = (this.batch as Batch).start[kept[p].t]; j < end; j++) {
      while (q < to && kept[q].t < j) q++;
      host.from[j] = q * width;
      host.to[j] = to * width;
    }
    return to;
  }

  /** One of a list, taken out; null where it is empty. */
  private takeFrom(list: number[]): number | null {
    if (list.length === 0) return null;
    const at = this.random.below(list.length);
    const item = list[at];
    list[at] = list[list.length - 1];
    list.pop();
    return item;
  }

  /** An item of the catalogue that is not taken, by popularity or uniformly; any item where nearly all are taken. */
  private other(taken: Set<number>): number {
    for (let tries = 0; ; tries++) {
      const item = this.random.chance(this.settings.rankerPopular) ? this.popular() : this.random.below(this.items);
      if (!taken.has(item) || tries > 64) return item;
    }
  }

  private popular(): number {
    const at = this.random.next() * this.cumulated[this.items - 1];
    let [low, high] = [0, this.items - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.cumulated[middle] > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  dispose(): void {
    this.encoded.dispose();
    this.inputs.dispose();
  }
}
