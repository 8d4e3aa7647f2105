/**
 * How far a model ranks given items above the rest of the catalog, by component. What is the same for all candidates
 * changes no ranking and is left out:
 *
 *   transformer(j) = (z_j − mean z) / σ(z)                          mean and σ over the catalog
 *   transitions(j) = b · (log(max(m_j, 0) + ε) − mean log(max(m, 0) + ε))
 *
 * The two add up to the blended score (transitions.ts) minus its mean over the catalog.
 */
import { Inputs, type Program, rowMoments, type Tensor } from '../../engine/index.ts';
import { type BlendWeights, type ItemTransitions, recency } from './transitions.ts';
import { Batcher, maxScores, roundUp } from '../inference/batcher.ts';
import { entriesOf, lengthOf, packedTokens, packHistories, tokenSpec } from '../inference/packing.ts';
import type { History } from '../inference/query.ts';
import { nonFinite, requireFinite } from '../inference/ranks.ts';
import type { SequenceModel } from '../encoders/sequence-model.ts';

/** In standard deviations of the transformer's scores over the catalog. */
export interface RelativeScore {
  transformer: number;
  /** By the item transitions. */
  memory: number;
}

export const relativeScoreOf = ({ transformer, memory }: RelativeScore): number => transformer + memory;

/** The item transitions on the host, where single weights are looked up. */
export class HostTransitions {
  private readonly transitions: ItemTransitions;
  private readonly weights: BlendWeights;
  private readonly recency: Float32Array;
  private readonly sums: Float64Array;

  constructor(transitions: ItemTransitions, weights: BlendWeights) {
    this.transitions = transitions;
    this.weights = weights;
    this.recency = recency(transitions.settings);
    this.sums = new Float64Array(transitions.rows.starts.length - 1);
  }

  /** Events that it reads. */
  get last(): number {
    return this.transitions.settings.last;
  }

  /** What each event of a history adds to m of an item, r_k · W[item_k, j], [events]; they add up to m exactly. */
  sharesOf(history: Uint32Array, item: number): Float64Array {
    const { starts, columns, values } = this.transitions.rows;
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

  /** Relative scores of items after a history. */
  relativeScores(history: Uint32Array, items: Uint32Array): Float64Array {
    const { sums, transitions, weights } = this;
    const { starts, columns, values } = transitions.rows;
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
    const scores = Float64Array.from(items, (j) => (b === 0 ? 0 : b * (log(sums[j]) - total / sums.length)));
    for (const j of touched) sums[j] = 0;
    return requireFinite(scores, 'item transitions');
  }
}

/** Histories of a batch where the scores of the whole catalog do not even fit for so many. */
const MIN_USERS = 16;

/** A history, and the rows of the items that are asked about after it; the same for all of a batch. */
interface Query extends History {
  items: Uint32Array;
}

interface Size {
  maxTokens: number;
  users: number;
  items: number;
  /** Entries of the side features. */
  entries: number;
}

/** Relative scores of given items after many histories; the encoder runs on packed batches. */
export class RelativeScorer {
  private readonly transitions: HostTransitions | null;
  private readonly batcher: Batcher<Query, Size, Batch>;

  constructor(model: SequenceModel, transitions: HostTransitions | null) {
    this.transitions = transitions;
    this.batcher = new Batcher({
      lengthOf: ({ history }) => lengthOf(model, history),
      maxQueries: Math.min(256, Math.max(MIN_USERS, Math.floor(maxScores(model.device) / model.items))),
      sizeOf: (queries, maxTokens) => ({
        maxTokens,
        users: roundUp(queries.length, 4),
        items: roundUp(queries[0].items.length, 4),
        entries: entriesOf(model, queries),
      }),
      create: (size) => new Batch(model, size),
    });
  }

  /** One list per history, one relative score per item. */
  async scores(histories: readonly History[], items: Uint32Array): Promise<RelativeScore[][]> {
    const answers: RelativeScore[][] = [];
    const asked = histories.map((history) => ({ ...history, items }));
    for (const { batch, queries } of this.batcher.groups(asked)) {
      const scored = await batch.run(queries);
      queries.forEach(({ history }, u) => {
        const memory = this.transitions?.relativeScores(history, items);
        answers.push(Array.from(scored[u], (transformer, i) => ({ transformer, memory: memory?.[i] ?? 0 })));
      });
    }
    return answers;
  }

  dispose(): void {
    this.batcher.dispose();
  }
}

function inputSpec(model: SequenceModel, { maxTokens, users, items, entries }: Size) {
  const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
  return { ...tokenSpec(maxTokens, model, entries), last: u32(users), asked: u32(items) };
}

class Batch {
  private readonly model: SequenceModel;
  private readonly inputs: Inputs<ReturnType<typeof inputSpec>>;
  private readonly program: Program<{ scores: Tensor; moments: Tensor }>;

  constructor(model: SequenceModel, size: Size) {
    const { device } = model;
    this.model = model;
    this.inputs = new Inputs(device, inputSpec(model, size), 'relative score inputs');
    const t = this.inputs.tensors;
    const { users } = size;
    const room = maxScores(device);
    const width = users * model.items <= room ? model.items : Math.max(64, Math.floor(room / users / 64) * 64);
    this.program = device.program(`relative scores of ${users} histories`, () =>
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
  async run(queries: readonly Query[]): Promise<Float64Array[]> {
    const { host } = this.inputs;
    host.last.fill(0);
    host.asked.fill(0);
    host.asked.set(queries[0].items);
    packHistories(this.model, queries, host).forEach((end, u) => (host.last[u] = end - 1));
    this.inputs.upload();
    const { scores, moments } = await this.program.values();
    const columns = host.asked.length;
    return queries.map(({ items }, u) => {
      const [shift, n, sum, squares] = moments.subarray(4 * u, 4 * u + 4);
      const variance = squares / n - (sum / n) ** 2;
      const scale = variance > 1e-30 ? 1 / Math.sqrt(variance) : 1;
      return Float64Array.from(items, (_item, i) => {
        const score = (scores[u * columns + i] - shift - sum / n) * scale;
        if (!Number.isFinite(score)) throw nonFinite('scores', score);
        return score;
      });
    });
  }

  dispose(): void {
    this.program.dispose();
    this.inputs.dispose();
  }
}
