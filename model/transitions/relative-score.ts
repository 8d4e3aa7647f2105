/**
 * How far a model lifts given items above the rest of the catalogue, part by part. What is the same for all candidates
 * changes no ranking and is left out:
 *
 *   transformer(j) = (z_j − mean z) / σ(z)                          mean and σ over the catalogue
 *   memory(j)      = b · (log(max(m_j, 0) + ε) − mean log(max(m, 0) + ε))
 *
 * The two add up to the blended score (model/transitions/transitions.ts) minus its mean over the catalogue.
 */
import { Inputs, type Program, rowMoments, type Tensor } from '../../engine/index.ts';
import { type BlendWeights, type Memory, recency } from './transitions.ts';
import {
  clearTokens,
  entriesOf,
  type History,
  lengthOf,
  packedTokens,
  packHistory,
  tokenSpec,
} from '../inference/packing.ts';
import { nonFinite, requireFinite } from '../inference/ranks.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

/** In standard deviations of the transformer's scores over the catalogue. */
export interface RelativeScore {
  transformer: number;
  memory: number;
}

export const relativeScoreOf = ({ transformer, memory }: RelativeScore): number => transformer + memory;

/** The memory on the host, where single weights are looked up. */
export class HostTransitions {
  private readonly memory: Memory;
  private readonly weights: BlendWeights;
  private readonly recency: Float32Array;
  private readonly sums: Float64Array;

  constructor(memory: Memory, weights: BlendWeights) {
    this.memory = memory;
    this.weights = weights;
    this.recency = recency(memory.settings);
    this.sums = new Float64Array(memory.rows.starts.length - 1);
  }

  /** Events that it reads. */
  get last(): number {
    return this.memory.settings.last;
  }

  /** What each event of a history adds to m of an item, r_k · W[item_k, j]: exact, and adding up to m. [events] */
  sharesOf(history: Uint32Array, item: number): Float64Array {
    const { starts, columns, values } = this.memory.rows;
    const shares = Float64Array.from(history, (row, i) => {
      const k = history.length - 1 - i;
      if (k >= this.last) return 0;
      let [low, high] = [starts[row], starts[row + 1]];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (columns[middle] < item) low = middle + 1;
        else high = middle;
      }
      return low < starts[row + 1] && columns[low] === item ? this.recency[k] * values[low] : 0;
    });
    return requireFinite(shares, 'item transitions');
  }

  /** The memory's lift of items after a history. */
  lifts(history: Uint32Array, items: Uint32Array): Float64Array {
    const { sums, memory, weights } = this;
    const { starts, columns, values } = memory.rows;
    const { memory: b, epsilon } = weights;
    const touched: number[] = [];
    for (let k = 0; k < Math.min(this.last, history.length); k++) {
      const row = history[history.length - 1 - k];
      for (let e = starts[row]; e < starts[row + 1]; e++) {
        touched.push(columns[e]);
        sums[columns[e]] += this.recency[k] * values[e];
      }
    }
    const log = (m: number): number => Math.log(Math.max(m, 0) + epsilon);
    let total = sums.length * Math.log(epsilon);
    for (const j of new Set(touched)) total += log(sums[j]) - Math.log(epsilon);
    const lifts = Float64Array.from(items, (j) => (b === 0 ? 0 : b * (log(sums[j]) - total / sums.length)));
    for (const j of touched) sums[j] = 0;
    return requireFinite(lifts, 'item transitions');
  }
}

/** Tokens of a batch at most, unless one history is longer. */
const BUDGET = 8192;
/** Scores of the catalogue held at once (64 MiB). */
const TILE_ELEMENTS = 16 * 2 ** 20;
/** Histories of a batch, where not even one's scores of the whole catalogue would fit into the tile at 16. */
const LEAST_USERS = 16;

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** Lifts of given items after many histories; the encoder runs on packed batches. */
export class RelativeScorer {
  private readonly model: SequenceModel;
  private readonly memory: HostTransitions | null;
  private readonly batches = new Map<string, Batch>();

  constructor(model: SequenceModel, memory: HostTransitions | null) {
    this.model = model;
    this.memory = memory;
  }

  /** One list a history, one lift an item. */
  async lifts(histories: readonly History[], items: Uint32Array): Promise<RelativeScore[][]> {
    const answers: RelativeScore[][] = [];
    for (let from = 0; from < histories.length; ) {
      const to = this.fitting(histories, from);
      const part = histories.slice(from, to);
      const scored = await this.batch(part, items.length).run(part, items);
      part.forEach(({ history }, u) => {
        const memory = this.memory?.lifts(history, items);
        answers.push(Array.from(scored[u], (transformer, i) => ({ transformer, memory: memory?.[i] ?? 0 })));
      });
      from = to;
    }
    return answers;
  }

  /** The end of the batch that begins at `from`. */
  private fitting(histories: readonly History[], from: number): number {
    const room = Math.min(TILE_ELEMENTS, Math.floor(this.model.device.maxBindingBytes / 4));
    const users = Math.min(256, Math.max(LEAST_USERS, Math.floor(room / this.model.items)));
    let tokens = 0;
    let to = from;
    for (; to < histories.length && to - from < users; to++) {
      tokens += lengthOf(this.model, histories[to].history);
      if (tokens > BUDGET && to > from) break;
    }
    return to;
  }

  private batch(histories: readonly History[], items: number): Batch {
    const tokens = histories.reduce((sum, { history }) => sum + lengthOf(this.model, history), 0);
    const [budget, users] = [powerOfTwo(Math.max(64, tokens)), powerOfTwo(Math.max(4, histories.length))];
    const capacity = powerOfTwo(Math.max(4, items));
    const entries = entriesOf(this.model, histories);
    const key = `${budget} ${users} ${capacity} ${entries}`;
    let batch = this.batches.get(key);
    if (!batch) {
      batch = new Batch(this.model, budget, users, capacity, entries);
      this.batches.set(key, batch);
    }
    return batch;
  }

  dispose(): void {
    for (const batch of this.batches.values()) batch.dispose();
    this.batches.clear();
  }
}

function inputSpec(model: SequenceModel, budget: number, users: number, items: number, entries: number) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  return { ...tokenSpec(budget, model, entries), last: u32(users), asked: u32(items) };
}

class Batch {
  private readonly model: SequenceModel;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly program: Program<{ scores: Tensor; moments: Tensor }>;

  constructor(model: SequenceModel, budget: number, users: number, items: number, entries: number) {
    const { device } = model;
    this.model = model;
    this.inputs = new Inputs(device, inputSpec(model, budget, users, items, entries), 'lift inputs');
    const t = this.inputs.tensors;
    const room = Math.min(TILE_ELEMENTS, Math.floor(device.maxBindingBytes / 4));
    const width = users * model.items <= room ? model.items : Math.max(64, Math.floor(room / users / 64) * 64);
    this.program = device.program(`lift of ${users} histories`, () =>
      device.noGrad(() => {
        const states = model.nextStates(packedTokens(model, t), t.last);
        let moments: Tensor | null = null;
        for (let from = 0; from < model.items; from += width) {
          const tile = model.scores(states, from, Math.min(model.items, from + width));
          moments = rowMoments(tile, moments);
          tile.dispose(); // an eager run holds one tile, too
        }
        return { scores: model.scoresOf(states, t.asked), moments: moments as Tensor };
      }),
    );
  }

  /** (z − mean) / σ of each history's items. */
  async run(histories: readonly History[], items: Uint32Array): Promise<Float64Array[]> {
    const { host } = this.inputs;
    host.last.fill(0);
    host.asked.fill(0);
    host.asked.set(items);
    let at = 0;
    histories.forEach((history, u) => {
      at = packHistory(this.model, history, host, at);
      host.last[u] = at - 1;
    });
    clearTokens(host, at);
    this.inputs.upload();
    const { scores, moments } = await this.program.values();
    const columns = host.asked.length;
    return histories.map((_, u) => {
      const [shift, n, sum, squares] = moments.subarray(4 * u, 4 * u + 4);
      const variance = squares / n - (sum / n) ** 2;
      const scale = variance > 1e-30 ? 1 / Math.sqrt(variance) : 1;
      return Float64Array.from(items, (_item, i) => {
        const lift = (scores[u * columns + i] - shift - sum / n) * scale;
        if (!Number.isFinite(lift)) throw nonFinite('scores', lift);
        return lift;
      });
    });
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
  }
}
