/**
 * Histories in, ranks and top-k lists out. Histories are packed into token budgets (powers of two, so that one user
 * does not cost a training batch); scores stay on the device, only ranks and the k best leave it.
 */
import {
  add,
  copy,
  type Device,
  Inputs,
  logBlend,
  maskSeen,
  type Program,
  rankOf,
  rankTiles,
  rowMoments,
  type Tensor,
  topk,
} from '../../engine/index.ts';
import type { BlendWeights, DeviceTransitions } from '../transitions/transitions.ts';
import { comparedStates } from '../heads/losses.ts';
import { clearTokens, entriesOf, type History, lengthOf, packedTokens, packHistory, tokenSpec } from './packing.ts';
import { nonFinite, requireFinite } from './ranks.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

export interface ScoreQuery extends History {
  /** Item row whose rank is wanted. */
  target?: number;
  /** Item rows that are no candidates. Pass the history to exclude seen items. */
  exclude?: Uint32Array;
  /** With `own`: [V] added to this query's scores. */
  bias?: Float32Array;
}

export interface Scored {
  /** 1 is best, ties count against the target; 0xffffffff where there is no target or it is excluded. */
  rank: number;
  /** The k best item rows, best first; fewer where the candidates run out. */
  items: Uint32Array;
  scores: Float32Array;
  /** With `parts`: the target's rank by the transformer alone and by the memory alone. */
  parts?: { transformer: number; memory: number };
  /** With `trials`: its rank under each of them. */
  trials?: number[];
  /** With `states`: the user's vector [D], whose products with the item vectors are the transformer's scores. */
  state?: Float32Array;
  /** With `all`: the score of every item row from there on, excluded ones too. */
  all?: Float32Array;
  /** With two stages: the target's rank and the list by the first alone, and by the ranker alone among its candidates. */
  stages?: Record<'retrieval' | 'ranker', { rank: number; items: Uint32Array }>;
  /** With two stages: P(interaction) of the items that the ranker saw, in the list's order. */
  probabilities?: Float32Array;
}

export interface ScorerOptions {
  /** Length of the lists, 1 to 128. */
  k: number;
  /** The memory and its weights in the blend; without it the transformer scores alone. The scorer does not own it. */
  blend?: { memory: DeviceTransitions; weights: BlendWeights } | null;
  /** Rank by the components of the blend, too. */
  parts?: boolean;
  /** Rank with other weights of the blend, too. */
  trials?: readonly BlendWeights[];
  /**
   * [V] added to every user's scores: 0, a bonus or a penalty, or {@link LEFT_OUT} for an item that is no candidate. Each
   * of the components is ranked with it, too. `setBias` replaces it.
   */
  bias?: Float32Array;
  /** Every query brings a bias of its own, too. The catalogue must fit one tile. */
  own?: boolean;
  /** Give the users' vectors, too. */
  states?: boolean;
  /** [D] added to every user's vector: what a visitor's adaptation is (model/inference/personalize.ts). `setShift` replaces it. */
  shift?: Float32Array;
  /**
   * Give the scores of all items from this row on, too: the transformer's, or those of the blend where there is one (from
   * row 0 alone), in both cases without bias. The catalogue must fit one tile.
   */
  all?: number;
}

/** The bias of an item that is no candidate: its score is masked, whatever it was. */
export const LEFT_OUT = -3e38;

const NO_ITEM = 0xffffffff;
/** Outputs of a tile's program that are ranks. */
const RANKS = /^(ranks|transformer|memory|trial \d+)$/;
const MAX_BUDGET = 8192;
/** Elements of the largest tile of scores (64 MiB). */
const TILE_ELEMENTS = 16 * 2 ** 20;
/** Users of a tile where not even one user's scores of the whole catalogue fit; the catalogue is tiled then, too. */
const USERS_OF_COLUMN_TILES = 16;

export class Scorer {
  private readonly model: SequenceModel;
  private readonly options: ScorerOptions;
  private readonly tiles = new Map<string, Tile>();
  private readonly bias: Tensor | null;
  private readonly shift: Tensor | null;

  constructor(model: SequenceModel, options: ScorerOptions) {
    if (!Number.isInteger(options.k) || options.k < 1 || options.k > 128) {
      throw new Error(`scorer: k from 1 to 128 was expected, came ${options.k}`);
    }
    this.model = model;
    this.options = { ...options, k: Math.min(options.k, model.items) };
    this.bias = options.bias ? model.device.empty([model.items], 'f32', 'score bias').keep() : null;
    if (options.bias) this.setBias(options.bias);
    if (options.shift && !model.comparesVectors) throw new Error('scorer: a shift needs a model that compares vectors');
    this.shift = options.shift ? model.device.empty([model.settings.d], 'f32', 'score shift').keep() : null;
    if (options.shift) this.setShift(options.shift);
  }

  /** Replaces the shift that the scorer was made with, for the queries to come. */
  setShift(shift: Float32Array): void {
    if (!this.shift) throw new Error('scorer: it was made without a shift');
    this.model.device.write(this.shift, shift);
  }

  /** Replaces the bias that the scorer was made with, for the queries to come. */
  setBias(bias: Float32Array): void {
    if (!this.bias) throw new Error('scorer: it was made without a bias');
    if (bias.length !== this.model.items) {
      throw new Error(`scorer: a bias of ${this.model.items} items was expected, came ${bias.length}`);
    }
    this.model.device.write(this.bias, bias);
  }

  /** Scores each query; the answers stand in the queries' order. */
  async score(queries: readonly ScoreQuery[], onProgress?: (done: number) => void): Promise<Scored[]> {
    const answers: Scored[] = [];
    await this.model.refresh();
    for (let from = 0; from < queries.length; ) {
      const { tile, to } = this.fill(queries, from);
      for (const answer of await tile.run(to - from)) answers.push(answer);
      from = to;
      onProgress?.(from);
    }
    return answers;
  }

  /** Packs as many queries as one tile takes, and uploads them. */
  private fill(queries: readonly ScoreQuery[], from: number): { tile: Tile; to: number } {
    const { window } = this.model.settings;
    const most = Math.max(MAX_BUDGET, powerOfTwo(window));
    const rows = usersOf(most, this.model);
    let tokens = 0;
    let excluded = 0;
    let to = from;
    for (; to < queries.length && to - from < rows; to++) {
      const q = queries[to];
      if (q.history.length === 0) throw new Error('scorer: a history of at least one item was expected');
      const length = lengthOf(this.model, q.history);
      if (tokens + length > most) break;
      tokens += length;
      excluded += q.exclude?.length ?? 0;
    }
    // The smallest budget whose tokens and users suffice.
    let budget = powerOfTwo(Math.max(64, tokens));
    while (usersOf(budget, this.model) < to - from) budget *= 2;
    const entries = entriesOf(this.model, queries.slice(from, to));
    const tile = this.tile(budget, powerOfTwo(Math.max(excluded, 2 * budget)), entries);
    tile.fill(queries.slice(from, to));
    return { tile, to };
  }

  private tile(budget: number, capacity: number, entries: number): Tile {
    const key = `${budget} ${capacity} ${entries}`;
    let tile = this.tiles.get(key);
    if (!tile) {
      const users = usersOf(budget, this.model);
      tile = new Tile(this.model, budget, users, { capacity, entries }, this.options, this.bias, this.shift);
      this.tiles.set(key, tile);
    }
    return tile;
  }

  dispose(): void {
    for (const tile of this.tiles.values()) tile.dispose();
    this.tiles.clear();
    this.bias?.dispose();
    this.shift?.dispose();
  }
}

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));
/** Scores that one tile may hold. */
const roomOf = ({ device }: SequenceModel): number => Math.min(TILE_ELEMENTS, Math.floor(device.maxBindingBytes / 4));
/** Users of a tile: one in 16 tokens, as many as the tile of scores allows. */
const usersOf = (budget: number, model: SequenceModel): number =>
  Math.max(1, Math.min(256, budget / 16, Math.floor(roomOf(model) / model.items) || USERS_OF_COLUMN_TILES));

/** Excluded items that a tile takes, and entries of what stands beside the items. */
interface Room {
  capacity: number;
  entries: number;
}

function inputSpec(
  model: SequenceModel,
  budget: number,
  users: number,
  { capacity, entries }: Room,
  { blend, own }: ScorerOptions,
) {
  const last = blend?.memory.settings.last ?? 0;
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });
  return {
    ...tokenSpec(budget, model, entries),
    /** Position of each user's last token. */
    last: u32(users),
    targets: u32(users),
    excludedOffsets: u32(users + 1),
    excluded: u32(capacity),
    /** What the memory looks up: each user's last items and their weights. */
    recentOffsets: u32(users + 1),
    recentItems: u32(users * last),
    recentWeights: f32(users * last),
    ...(own ? { own: { shape: [users, model.items], dtype: 'f32' as const } } : {}),
  };
}

class Tile {
  private readonly model: SequenceModel;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly program: Program<Record<string, Tensor>>;
  private readonly device: Device;
  private readonly options: ScorerOptions;
  private readonly users: number;
  private readonly bias: Tensor | null;
  private readonly shift: Tensor | null;
  /** b and ε of the blend, then of each trial. */
  private readonly weights: Tensor[];

  constructor(
    model: SequenceModel,
    budget: number,
    users: number,
    room: Room,
    options: ScorerOptions,
    bias: Tensor | null,
    shift: Tensor | null,
  ) {
    this.model = model;
    this.bias = bias;
    this.shift = shift;
    this.device = model.device;
    this.options = options;
    this.users = users;
    const { blend } = options;
    const spec = inputSpec(model, budget, users, room, options);
    this.inputs = new Inputs(this.device, spec, 'score inputs');
    const all = blend ? [blend.weights, ...(options.trials ?? [])] : [];
    this.weights = all.map(({ memory, epsilon }) =>
      this.device.tensor([memory, epsilon], [2], { label: 'blend weights' }).keep(),
    );
    this.program = this.device.program(`score ${budget} tokens`, () => this.device.noGrad(() => this.rank()));
  }

  /** What the program runs: the ranks and the k best of the whole catalogue, at once or by tiles of columns. */
  private rank(): Record<string, Tensor> {
    const { model, options, users, bias, shift } = this;
    const { k } = options;
    const t = this.inputs.tensors;
    const V = model.items;
    const states = model.nextStates(packedTokens(model, t), t.last);
    const memory = options.blend?.memory;
    const lists = { offsets: t.recentOffsets, items: t.recentItems, weights: t.recentWeights };
    const vectors: Record<string, Tensor> = options.states ? { states: comparedStates(states, model.settings) } : {};
    const masked = (tile: Tensor, from: number): Tensor => {
      let scores = tile;
      if (bias) {
        scores = add(tile, bias.rows(from, from + tile.shape[1]));
        tile.dispose(); // an eager run holds one copy, too
      }
      if (t.own) {
        const own = add(scores, t.own);
        scores.dispose();
        scores = own;
      }
      maskSeen(scores, { offsets: t.excludedOffsets, items: t.excluded }, from);
      return scores;
    };
    const whole = users * V <= roomOf(model);
    if (options.own && !whole) throw new Error('scorer: a bias for each query was asked for, which does not fit');
    /** Columns of a tile of scores. */
    const width = whole ? V : Math.floor(roomOf(model) / users / 64) * 64;
    const best = (scores: (from: number, to: number) => Tensor) => {
      if (!whole) return rankTiles(scores, V, width, t.targets, k);
      const tile = scores(0, V);
      return { ranks: rankOf(tile, t.targets), ...topk(tile, k, { targets: t.targets }) };
    };
    const rankOnly = (scores: (from: number, to: number) => Tensor): Tensor => {
      if (!whole) return rankTiles(scores, V, width, t.targets, 1).ranks;
      const tile = scores(0, V);
      const ranks = rankOf(tile, t.targets);
      tile.dispose(); // an eager run holds one copy, too
      return ranks;
    };
    if (!memory) {
      const { ranks, indices, values } = best((from, to) => masked(model.scores(states, from, to, shift), from));
      const out: Record<string, Tensor> = { ranks, items: indices, scores: values, ...vectors };
      if (options.all !== undefined) out.all = model.scores(states, Math.floor(options.all / 64) * 64, V, shift);
      return out;
    }

    // Each component is made once where it fits, and anew for each tile of columns where not.
    const kept = whole ? { states: model.scores(states, 0, V, shift), memory: memory.scores(lists, 0, V) } : null;
    const byStates = (from: number, to: number): Tensor =>
      kept ? copy(kept.states) : model.scores(states, from, to, shift);
    const byMemory = (from: number, to: number): Tensor => (kept ? copy(kept.memory) : memory.scores(lists, from, to));
    let moments: Tensor | null = kept && rowMoments(kept.states);
    for (let from = 0; !kept && from < V; from += width) {
      const tile = byStates(from, Math.min(V, from + width));
      moments = rowMoments(tile, moments);
      tile.dispose();
    }
    const blended =
      (weights: Tensor) =>
      (from: number, to: number): Tensor => {
        const tile = byStates(from, to);
        const more = kept?.memory ?? byMemory(from, to);
        logBlend(tile, more, moments as Tensor, weights);
        if (!kept) more.dispose();
        return masked(tile, from);
      };
    const [weights, ...trials] = this.weights;
    const { ranks, indices, values } = best(blended(weights));
    const out: Record<string, Tensor> = { ranks, items: indices, scores: values, ...vectors };
    if (options.all !== undefined) {
      if (!kept || options.all !== 0) throw new Error('scorer: all scores of a blend were asked for, which do not fit');
      const tile = copy(kept.states);
      logBlend(tile, kept.memory, moments as Tensor, weights);
      out.all = tile;
    }
    if (options.parts) {
      out.transformer = rankOnly((from, to) => masked(byStates(from, to), from));
      out.memory = rankOnly((from, to) => masked(byMemory(from, to), from));
    }
    trials.forEach((trial, i) => {
      out[`trial ${i}`] = rankOnly(blended(trial));
    });
    return out;
  }

  fill(queries: readonly ScoreQuery[]): void {
    const { last, targets, excludedOffsets, excluded } = this.inputs.host;
    const { recentOffsets, recentItems, recentWeights, own } = this.inputs.host;
    const memory = this.options.blend?.memory;
    let remembered = 0;
    let at = 0;
    let dropped = 0;
    last.fill(0);
    targets.fill(NO_ITEM);
    queries.forEach((q, u) => {
      at = packHistory(this.model, q, this.inputs.host, at);
      last[u] = at - 1;
      if (q.target !== undefined) targets[u] = q.target;
      if (own) {
        if (q.bias) own.set(q.bias, u * this.model.items);
        else own.fill(0, u * this.model.items, (u + 1) * this.model.items);
      }
      excludedOffsets[u] = dropped;
      if (q.exclude) excluded.set(q.exclude, dropped);
      dropped += q.exclude?.length ?? 0;
      recentOffsets[u] = remembered;
      if (memory) remembered = memory.listOf(q.history, remembered, recentItems, recentWeights);
    });
    recentOffsets.fill(remembered, queries.length);
    excludedOffsets.fill(dropped, queries.length);
    clearTokens(this.inputs.host, at);
    this.inputs.upload();
  }

  async run(count: number): Promise<Scored[]> {
    const { k, blend, parts, trials, all } = this.options;
    const read = await this.program.values();
    const { ranks, items, scores } = read;
    const ranked = Object.keys(read).filter((name) => RANKS.test(name));
    return Array.from({ length: count }, (_, u) => {
      const row = items.subarray(u * k, (u + 1) * k) as Uint32Array;
      const values = scores.subarray(u * k, (u + 1) * k) as Float32Array;
      let n = 0;
      while (n < row.length && row[n] !== NO_ITEM && values[n] > -1e38) n++;
      // The device gives rank 0 where any score of the row is not finite, with or without a target.
      if (ranked.some((by) => read[by][u] === 0)) throw nonFinite('scores', Number.NaN);
      const scored: Scored = { rank: ranks[u], items: row.slice(0, n), scores: values.slice(0, n) };
      if (all !== undefined) {
        const width = read.all.length / this.users;
        const row = read.all.subarray(u * width, (u + 1) * width) as Float32Array;
        scored.all = requireFinite(row.slice(all - Math.floor(all / 64) * 64), 'scores');
      }
      if (blend && parts) scored.parts = { transformer: read.transformer[u], memory: read.memory[u] };
      if (read.states) {
        const { d } = this.model.settings;
        scored.state = requireFinite(read.states.slice(u * d, (u + 1) * d) as Float32Array, 'user vectors');
      }
      if (blend && trials) scored.trials = trials.map((_, i) => read[`trial ${i}`][u]);
      return scored;
    });
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
    for (const t of this.weights) t.dispose();
  }
}
