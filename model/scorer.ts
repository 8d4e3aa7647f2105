/**
 * Histories in, ranks and top-k lists out. Histories are packed into token budgets (powers of two, so that one user
 * does not cost a training batch); scores stay on the device, only ranks and the k best leave it.
 */
import {
  type Device,
  gather,
  Inputs,
  maskSeen,
  type Program,
  rankOf,
  rankTiles,
  type Tensor,
  topk,
} from '../engine/index.ts';
import { readsTimes } from './recipes.ts';
import type { SequenceModel } from './sequence-model.ts';

export interface ScoreQuery {
  /** Item rows, oldest first, at least one; the last `window` of them are read. */
  history: Uint32Array;
  /** Times of the history (data/times.ts), for models that read them; without them the order counts. */
  times?: Uint32Array;
  /** Item row whose rank is wanted. */
  target?: number;
  /** Item rows that are no candidates. Pass the history to exclude seen items. */
  exclude?: Uint32Array;
}

export interface Scored {
  /** 1 is best, ties count against the target; 0xffffffff where there is no target or it is excluded. */
  rank: number;
  /** The k best item rows, best first; fewer where the candidates run out. */
  items: Uint32Array;
  scores: Float32Array;
}

const NO_ITEM = 0xffffffff;
const MAX_BUDGET = 8192;
/** Elements of the largest tile of scores (64 MiB). */
const TILE_ELEMENTS = 16 * 2 ** 20;
/** Users of a tile where not even one user's scores of the whole catalogue fit; the catalogue is tiled then, too. */
const USERS_OF_COLUMN_TILES = 16;

export class Scorer {
  private readonly model: SequenceModel;
  private readonly k: number;
  private readonly tiles = new Map<string, Tile>();

  constructor(model: SequenceModel, options: { k: number }) {
    if (!Number.isInteger(options.k) || options.k < 1 || options.k > 128) {
      throw new Error(`scorer: k from 1 to 128 was expected, came ${options.k}`);
    }
    this.model = model;
    this.k = Math.min(options.k, model.items);
  }

  /** Scores each query; the answers stand in the queries' order. */
  async score(queries: readonly ScoreQuery[], onProgress?: (done: number) => void): Promise<Scored[]> {
    const answers: Scored[] = [];
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
    const tile = this.tile(budget, powerOfTwo(Math.max(excluded, 2 * budget)));
    tile.fill(queries.slice(from, to));
    return { tile, to };
  }

  private tile(budget: number, capacity: number): Tile {
    const key = `${budget} ${capacity}`;
    let tile = this.tiles.get(key);
    if (!tile) {
      tile = new Tile(this.model, budget, usersOf(budget, this.model), capacity, this.k);
      this.tiles.set(key, tile);
    }
    return tile;
  }

  dispose(): void {
    for (const tile of this.tiles.values()) tile.dispose();
    this.tiles.clear();
  }
}

/** Tokens that a history takes: its last events, and the mask of the event to come where the model fills in masks. */
const lengthOf = ({ settings, cloze }: SequenceModel, history: Uint32Array): number =>
  Math.min(settings.window, history.length + (cloze ? 1 : 0));
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));
/** Scores that one tile may hold. */
const roomOf = ({ device }: SequenceModel): number => Math.min(TILE_ELEMENTS, Math.floor(device.maxBindingBytes / 4));
/** Users of a tile: one in 16 tokens, as many as the tile of scores allows. */
const usersOf = (budget: number, model: SequenceModel): number =>
  Math.max(1, Math.min(256, budget / 16, Math.floor(roomOf(model) / model.items) || USERS_OF_COLUMN_TILES));

function inputSpec(budget: number, users: number, capacity: number, times: boolean) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  return {
    items: u32(budget),
    positions: u32(budget),
    start: u32(budget),
    end: u32(budget),
    /** Position of each user's last token. */
    last: u32(users),
    targets: u32(users),
    excludedOffsets: u32(users + 1),
    excluded: u32(capacity),
    ...(times ? { times: u32(budget) } : {}),
  };
}

class Tile {
  private readonly model: SequenceModel;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly program: Program<{ ranks: Tensor; items: Tensor; scores: Tensor }>;
  private readonly device: Device;
  private readonly k: number;
  private readonly users: number;

  constructor(model: SequenceModel, budget: number, users: number, capacity: number, k: number) {
    this.model = model;
    this.device = model.device;
    this.k = k;
    this.users = users;
    this.inputs = new Inputs(
      this.device,
      inputSpec(budget, users, capacity, readsTimes(model.settings)),
      'score inputs',
    );
    const t = this.inputs.tensors;
    /** Columns of a tile of scores. */
    const width = Math.floor(roomOf(model) / users / 64) * 64;
    this.program = this.device.program(`score ${budget} tokens`, () =>
      this.device.noGrad(() => {
        const states = gather(model.encode(t), t.last);
        const scores = (from: number, to: number): Tensor => {
          const tile = model.scores(states, from, to);
          maskSeen(tile, { offsets: t.excludedOffsets, items: t.excluded }, from);
          return tile;
        };
        if (users * model.items > roomOf(model)) {
          const { ranks, values, indices } = rankTiles(scores, model.items, width, t.targets, k);
          return { ranks, items: indices, scores: values };
        }
        const all = scores(0, model.items);
        const ranks = rankOf(all, t.targets);
        const best = topk(all, k, { targets: t.targets });
        return { ranks, items: best.indices, scores: best.values };
      }),
    );
  }

  fill(queries: readonly ScoreQuery[]): void {
    const { items, positions, start, end, last, targets, excludedOffsets, excluded, times } = this.inputs.host;
    const { cloze } = this.model;
    let at = 0;
    let dropped = 0;
    last.fill(0);
    targets.fill(NO_ITEM);
    queries.forEach((q, u) => {
      const length = lengthOf(this.model, q.history);
      const events = cloze ? length - 1 : length;
      const first = q.history.length - events;
      items.set(q.history.subarray(first), at);
      if (cloze) items[at + events] = this.model.items;
      for (let i = 0; i < length; i++) positions[at + i] = i;
      // The event to come is taken to be as late as the last one.
      if (times) for (let i = 0; i < length; i++) times[at + i] = q.times?.[first + Math.min(i, events - 1)] ?? i;
      start.fill(at, at, at + length);
      end.fill(at + length, at, at + length);
      at += length;
      last[u] = at - 1;
      if (q.target !== undefined) targets[u] = q.target;
      excludedOffsets[u] = dropped;
      if (q.exclude) excluded.set(q.exclude, dropped);
      dropped += q.exclude?.length ?? 0;
    });
    excludedOffsets.fill(dropped, queries.length);
    for (const unused of [items, positions, start, end, ...(times ? [times] : [])]) unused.fill(0, at);
    this.inputs.upload();
  }

  async run(count: number): Promise<Scored[]> {
    const out = this.program.run();
    await this.program.pace();
    await this.program.settle();
    const [ranks, items, scores] = [await out.ranks.data(), await out.items.data(), await out.scores.data()];
    return Array.from({ length: count }, (_, u) => {
      const row = items.subarray(u * this.k, (u + 1) * this.k) as Uint32Array;
      const values = scores.subarray(u * this.k, (u + 1) * this.k) as Float32Array;
      let n = 0;
      while (n < row.length && row[n] !== NO_ITEM && values[n] > -1e38) n++;
      if (ranks[u] === 0) throw new Error(`scorer: the scores of a user hold NaN (row ${u} of ${this.users})`);
      return { rank: ranks[u], items: row.slice(0, n), scores: values.slice(0, n) };
    });
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
  }
}
