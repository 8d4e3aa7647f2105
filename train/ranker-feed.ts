/**
 * What a training step of the ranker reads: some positions of a packed batch, each with its next item and negatives, most
 * of them hard: what the first stage ranks high there.
 */
import type { Batch } from '../data/batches.ts';
import { type Random, seeded } from '../data/random.ts';
import { type Device, groupRows, Inputs, rowGroupLayout, type Tensor } from '../engine/index.ts';
import type { PackedTokens } from '../model/blocks/context.ts';
import type { RankerGroups, RankerTokens } from '../model/ranker.ts';
import type { RankerSettings } from '../model/ranker-settings.ts';

/** Candidates of a step, all positions together: about as much work as the tokens of an encoder's batch. */
const ROWS = 6144;

/** How many positions of a batch are trained on, each with 1 + N candidates. */
export const positionsOf = ({ rankerNegatives }: RankerSettings): number =>
  Math.max(1, Math.floor(ROWS / (rankerNegatives + 1)));

function inputSpec(budget: number, positions: number, rows: number, times: boolean) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });
  const [tokens, candidates] = [rowGroupLayout(budget).words, rowGroupLayout(rows).words];
  return {
    items: u32(budget),
    positions: u32(budget),
    first: u32(budget),
    last: u32(budget),
    /** Rows of the positions that are trained on. */
    chosen: u32(positions),
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
    itemGroups: u32(tokens),
    positionGroups: u32(tokens),
    candidateGroups: u32(candidates),
    placeGroups: u32(candidates),
    ...(times ? { times: u32(budget) } : {}),
  };
}

export class RankerFeed {
  readonly positions: number;
  private readonly settings: RankerSettings;
  private readonly budget: number;
  private readonly items: number;
  /** Cumulated counts of the items in training. */
  private readonly cumulated: Float64Array;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  /** Positions of the batch in use. */
  private count = 0;
  private random: Random = seeded(0, 0);
  private batch: Batch | null = null;

  constructor(device: Device, settings: RankerSettings, budget: number, counts: Uint32Array, times: boolean) {
    this.settings = settings;
    this.budget = budget;
    this.items = counts.length;
    this.positions = positionsOf(settings);
    let total = 0;
    this.cumulated = Float64Array.from(counts, (n) => (total += n));
    const rows = this.positions * (settings.rankerNegatives + 1);
    this.inputs = new Inputs(device, inputSpec(budget, this.positions, rows, times), 'ranker batch');
  }

  /** What the encoder reads. */
  get tokens(): PackedTokens {
    const { items, positions, first, last, times } = this.inputs.tensors;
    return { items, positions, start: first, end: last, times };
  }

  get chosen(): Tensor {
    return this.inputs.tensors.chosen;
  }

  get ranked(): RankerTokens {
    return this.inputs.tensors;
  }

  get groups(): RankerGroups {
    const { itemGroups, positionGroups, candidateGroups, placeGroups } = this.inputs.tensors;
    return { items: itemGroups, positions: positionGroups, candidates: candidateGroups, places: placeGroups };
  }

  get labels(): Record<'labels' | 'rowWeights' | 'weights', Tensor> {
    return this.inputs.tensors;
  }

  /** Takes a batch, and draws the positions that are trained on. */
  take(batch: Batch, seed: number, stream: number): void {
    const { host } = this.inputs;
    this.batch = batch;
    this.random = seeded(seed ^ 0x2a4e6f, stream);
    for (const name of ['items', 'positions'] as const) host[name].set(batch[name]);
    host.first.set(batch.start);
    host.last.set(batch.end);
    host.times?.set(batch.times ?? batch.positions);
    groupRows(batch.items, batch.tokens, this.budget, host.itemGroups);
    groupRows(batch.positions, batch.tokens, this.budget, host.positionGroups);
    this.count = Math.min(this.positions, batch.tokens);
    host.chosen.fill(0);
    // The first so many of a shuffled batch in their order, without shuffling it.
    let left = this.count;
    for (let i = 0, n = 0; i < batch.tokens; i++) {
      if (this.random.next() * (batch.tokens - i) >= left) continue;
      host.chosen[n++] = i;
      left--;
    }
    this.inputs.upload();
  }

  /** Draws the negatives. @param best [positions, k] item rows that the first stage ranks best, best first */
  draw(best: Uint32Array, k: number): void {
    const { host } = this.inputs;
    const { rankerNegatives: n, rankerCandidates, rankerHard } = this.settings;
    const { items, targets, start, end } = this.batch as Batch;
    const width = n + 1;
    for (const name of ['candidates', 'rows', 'places', 'start', 'end', 'from', 'to'] as const) host[name].fill(0);
    for (const name of ['labels', 'rowWeights', 'weights'] as const) host[name].fill(0);
    const total = this.count * width;
    for (let p = 0; p < this.count; p++) {
      const t = host.chosen[p];
      const taken = new Set(items.subarray(start[t], t + 1));
      taken.add(targets[t]);
      const hard = Array.from(best.subarray(p * k, (p + 1) * k))
        .filter((item) => item < this.items && !taken.has(item))
        .slice(0, rankerCandidates);
      const from = p * width;
      host.candidates[from] = targets[t];
      host.labels[from] = 1;
      for (let c = 1; c < width; c++) {
        const item = c <= Math.round(n * rankerHard) ? this.takeFrom(hard) : null;
        host.candidates[from + c] = item ?? this.other(taken);
      }
      host.rows.fill(t, from, from + width);
      host.places.fill(t - start[t], from, from + width);
      host.start.fill(start[t], from, from + width);
      host.end.fill(t + 1, from, from + width);
      host.rowWeights.fill(1 / total, from, from + width);
      host.weights[p] = 1 / this.count;
      // A key is read by the positions from it to the end of its sequence.
      if (p === 0 || start[host.chosen[p - 1]] !== start[t]) this.spread(p, end[t]);
    }
    groupRows(host.candidates, total, this.positions * width, host.candidateGroups);
    groupRows(host.places, total, this.positions * width, host.placeGroups);
    this.inputs.upload();
  }

  /** The queries of each key of the sequence whose first chosen position is the p-th. */
  private spread(p: number, end: number): void {
    const { host } = this.inputs;
    const width = this.settings.rankerNegatives + 1;
    let to = p;
    while (to < this.count && host.chosen[to] < end) to++;
    let q = p;
    for (let j = (this.batch as Batch).start[host.chosen[p]]; j < end; j++) {
      while (q < to && host.chosen[q] < j) q++;
      host.from[j] = q * width;
      host.to[j] = to * width;
    }
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
    this.inputs.dispose();
  }
}
