/**
 * What a training step of the ranker reads: some positions of a packed batch, each with its next item and negatives.
 *
 * The ranker is to order what the first stage retrieves, so that it learns from positions whose next item is among the
 * candidates there, and its negatives are other candidates, all equally likely: were candidates and other items drawn with
 * different probabilities, the scores would have to tell the two apart first (they tend to log p − log q, q the
 * probability of a draw).
 */
import type { Batch } from '../../data/batching/batch.ts';
import { type Random, seeded } from '../../data/random.ts';
import { type Device, Inputs, type Tensor } from '../../engine/index.ts';
import { Feed, type Needs } from '../loop/feed.ts';
import { expectedTokens } from '../../data/features/item-tokens.ts';
import type { RankerTokens, RankerTraining } from '../../model/ranker/ranker.ts';
import {
  type List,
  ListPacker,
  type ListRoom,
  listSpec,
  listTokens,
  type Vocabulary,
} from '../../model/ranker/lists.ts';
import type { RankerSettings } from '../../model/recipes/ranker-settings.ts';

/** Candidates of a step, all positions together: about as much work as the tokens of an encoder's batch. */
const ROWS = 6144;

/** Positions that are looked at for each that is trained on: at so many the next item is hardly a candidate. */
const LOOKED_AT = 1.75;

/** How many positions of a batch are trained on, each with 1 + N candidates. */
const positionsOf = ({ rankerNegatives }: RankerSettings, budget: number): number =>
  Math.max(1, Math.min(Math.ceil(budget / 2), Math.floor(ROWS / (rankerNegatives + 1))));

/** A position that is trained on: its row, what is no negative there, and the candidates other than the next item. */
interface Kept {
  t: number;
  taken: Set<number>;
  others: number[];
}

/** What a step of the ranker has room for. */
function roomOf(s: RankerSettings, budget: number, positions: number, { attributes }: Vocabulary): ListRoom {
  const width = s.rankerNegatives + 1;
  const attributeRows = attributes ? expectedTokens(attributes, width) : 0;
  const most = attributes ? attributes.of.reduce((n, own) => Math.max(n, own.length), 0) : 0;
  const states = s.rankerMutual === 'on' ? s.rankerStates : 0;
  return {
    tokens: budget,
    candidates: positions * width,
    rows: positions * (width + attributeRows),
    training: true,
    states,
    copies: positions * states,
    entries: attributes ? positions * width * (most + 1) : 0,
  };
}

function inputSpec(positions: number, rows: number) {
  const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });
  return {
    /** Rows of the positions that are looked at. */
    chosen: { shape: [Math.ceil(LOOKED_AT * positions)], dtype: 'u32' as const },
    /** 1 for the next item, 0 for negatives; and of each candidate's loss (bce), of each position's (softmax). */
    labels: f32(rows),
    rowWeights: f32(rows),
    weights: f32(positions),
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
  private readonly room: ListRoom;
  private readonly lists: Inputs<ReturnType<typeof listSpec>>;
  private readonly packer: ListPacker;
  /** Positions of the batch that are looked at. */
  private looked = 0;
  private random: Random = seeded(0, 0);
  private batch: Batch | null = null;

  /** @param counts of the items in training @param needs of the encoder's batches @param vocabulary of the ranker */
  constructor(
    device: Device,
    settings: RankerSettings & { budget: number },
    counts: Uint32Array,
    needs: Needs,
    vocabulary: Vocabulary,
  ) {
    const { budget } = settings;
    this.settings = settings;
    this.items = counts.length;
    this.positions = positionsOf(settings, budget);
    let total = 0;
    this.cumulated = Float64Array.from(counts, (n) => (total += n));
    this.inputs = new Inputs(device, inputSpec(this.positions, this.positions * this.width), 'ranker batch');
    this.room = roomOf(settings, budget, this.positions, vocabulary);
    this.lists = new Inputs(device, listSpec(this.room), 'lists of candidates');
    this.packer = new ListPacker(this.room, vocabulary, this.lists.host);
    this.encoded = new Feed(device, budget, needs);
  }

  /** Candidates of a position. */
  private get width(): number {
    return this.settings.rankerNegatives + 1;
  }

  get chosen(): Tensor {
    return this.inputs.tensors.chosen;
  }

  get tokens(): RankerTokens {
    return { encoder: this.encoded.tensors, ...listTokens(this.lists.tensors, this.room) };
  }

  get training(): RankerTraining {
    const { candidateGroups, atGroups, tokenGroups, positionGroups, copyGroups } = this.lists.tensors;
    if (!candidateGroups || !atGroups || !tokenGroups || !positionGroups) throw new Error('ranker: no groups');
    const groups = { candidates: candidateGroups, at: atGroups, tokens: tokenGroups, positions: positionGroups };
    return { encoder: this.encoded.tensors, ...groups, copies: copyGroups };
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
    const { targets, start } = this.batch as Batch;
    const lists = this.retrieved(best, k).map(({ t, taken, others }): List => {
      const negatives = Array.from({ length: n }, (_, c) => {
        const item = c < Math.round(n * rankerHard) ? this.takeFrom(others) : null;
        return item ?? this.other(taken);
      });
      return { candidates: [targets[t], ...negatives], row: t, start: start[t] };
    });
    const count = this.packer.pack(lists);
    for (const name of ['labels', 'rowWeights', 'weights'] as const) host[name].fill(0);
    for (let p = 0; p < count; p++) host.labels[p * this.width] = 1;
    host.rowWeights.fill(1 / (count * this.width), 0, count * this.width);
    host.weights.fill(1 / count, 0, count);
    this.inputs.upload();
    this.lists.upload();
    return count;
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

  /** One of a list, taken out; null where it is empty. */
  private takeFrom(list: number[]): number | null {
    if (list.length === 0) return null;
    const at = this.random.below(list.length);
    const item = list[at];
    list[at] = list[list.length - 1];
    list.pop();
    return item;
  }

  /** An item of the catalog that is not taken, by popularity or uniformly; any item where nearly all are taken. */
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
    this.lists.dispose();
  }
}
