/** The examples that item transitions are learned from, as rows and columns of their sums. */
import { inMemory } from '../../data/column.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Add } from './sparse-rows.ts';

export interface ExampleOptions {
  /** r by recency. */
  recency: Float32Array;
  /** Weight of the examples that are read backward: a target and the events after it, 0 to 1. */
  backward: number;
  /** Whether an event is a target only where its user meets the item for the first time. */
  firstOnly: boolean;
  /** Awaited after each user. */
  pause(): Promise<void>;
}

/**
 * Every training event is a target with the events before it, x = Σ r_k e_item, and with weight `backward` once more with
 * those after it. Rows of G = Σ x xᵀ and C = Σ x e_yᵀ [V, V], and columns of C, are each made from where the item occurs.
 * An event that is no target adds to G alone: none of the items comes next.
 */
export class Examples {
  readonly items: number;
  private readonly events: Uint32Array;
  private readonly r: Float32Array;
  private readonly backward: number;
  /** By event of the dataset: 1 where it is no target. */
  private readonly skipped: Uint8Array;
  /** Item i occurs at positions[starts[i]] to positions[starts[i + 1]], in the history of [begins, ends) there. */
  private readonly starts: Uint32Array;
  private positions = new Uint32Array(0);
  private begins = new Uint32Array(0);
  private ends = new Uint32Array(0);
  /** products[lag][m] = Σ r_(lag + s) r_s over s < m: what two events `lag` apart share, with m targets beyond both. */
  private readonly products: Float64Array[];

  private constructor(split: Split, { recency: r, backward }: ExampleOptions) {
    this.items = split.items;
    this.events = inMemory(split.dataset.items);
    this.r = r;
    this.backward = backward;
    this.skipped = new Uint8Array(this.events.length);
    this.starts = new Uint32Array(split.items + 1);
    this.products = Array.from(r, (_, lag) => {
      const sums = new Float64Array(r.length - lag + 1);
      for (let s = 0; s < r.length - lag; s++) sums[s + 1] = sums[s] + r[lag + s] * r[s];
      return sums;
    });
  }

  static async of(split: Split, options: ExampleOptions): Promise<Examples> {
    const examples = new Examples(split, options);
    await examples.find(split, options);
    return examples;
  }

  private async find(split: Split, { firstOnly, pause }: ExampleOptions): Promise<void> {
    const { starts, events, skipped } = this;
    const { offsets } = split.dataset;
    const met = new Int32Array(split.items).fill(-1);
    for (let u = 0; u < split.users; u++) {
      const history = split.history(u, 'train');
      for (let t = 0; t < history.length; t++) {
        starts[history[t] + 1]++;
        if (firstOnly && met[history[t]] === u) skipped[offsets[u] + t] = 1;
        met[history[t]] = u;
      }
      await pause();
    }
    for (let i = 0; i < split.items; i++) starts[i + 1] += starts[i];
    const next = starts.slice();
    const total = starts[split.items];
    [this.positions, this.begins, this.ends] = [new Uint32Array(total), new Uint32Array(total), new Uint32Array(total)];
    for (let u = 0; u < split.users; u++) {
      const end = offsets[u] + split.trainLength(u);
      for (let at = offsets[u]; at < end; at++) {
        const entry = next[events[at]]++;
        this.positions[entry] = at;
        this.begins[entry] = offsets[u];
        this.ends[entry] = end;
      }
      await pause();
    }
  }

  /** Row i of G. */
  readonly gram = (item: number, add: Add): void => {
    const { events, positions, products, backward } = this;
    const n = this.r.length;
    for (let o = this.starts[item]; o < this.starts[item + 1]; o++) {
      const at = positions[o];
      const [begin, end] = [this.begins[o], this.ends[o]];
      for (let q = Math.max(begin, at - n + 1); q < Math.min(end, at + n); q++) {
        const shared = products[Math.abs(q - at)];
        const after = shared[Math.min(shared.length - 1, end - 1 - Math.max(at, q))];
        add(events[q], after + backward * shared[Math.min(shared.length - 1, Math.min(at, q) - begin)]);
      }
    }
  };

  /** Row i of C: targets after item i, and backward those before it. */
  readonly next = (item: number, add: Add): void => {
    for (let o = this.starts[item]; o < this.starts[item + 1]; o++) {
      this.around(o, this.backward, 1, (target, x) => {
        if (this.skipped[target] === 0) add(this.events[target], x);
      });
    }
  };

  /** Column y of C: what came before the target y, and backward what came after it. */
  readonly previous = (item: number, add: Add): void => {
    for (let o = this.starts[item]; o < this.starts[item + 1]; o++) {
      if (this.skipped[this.positions[o]] === 0)
        this.around(o, 1, this.backward, (event, x) => add(this.events[event], x));
    }
  };

  /** Visits the events within reach of an occurrence with r of their distance, by the weights of either side. */
  private around(o: number, before: number, after: number, visit: (event: number, x: number) => void): void {
    const { r } = this;
    const at = this.positions[o];
    const from = before === 0 ? at : Math.max(this.begins[o], at - r.length);
    const to = after === 0 ? at : Math.min(this.ends[o], at + r.length + 1);
    for (let q = from; q < at; q++) visit(q, before * r[at - q - 1]);
    for (let q = at + 1; q < to; q++) visit(q, after * r[q - at - 1]);
  }
}
