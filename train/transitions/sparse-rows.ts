/** Sparse rows, written one after another. */
import type { SparseHost } from '../../engine/index.ts';

/** Adds x to an item's sum. */
export type Add = (item: number, x: number) => void;

/** Sums by item, of which few are touched. */
export class Sums {
  private readonly sums: Float64Array;
  private readonly seen: Uint8Array;
  private touched: number[] = [];

  constructor(items: number) {
    this.sums = new Float64Array(items);
    this.seen = new Uint8Array(items);
  }

  readonly add: Add = (item, x) => {
    if (!this.seen[item]) {
      this.seen[item] = 1;
      this.touched.push(item);
    }
    this.sums[item] += x;
  };

  /** Hands over what was added, and forgets it. */
  drain(use: Add): void {
    for (const item of this.touched) {
      use(item, this.sums[item]);
      this.sums[item] = 0;
      this.seen[item] = 0;
    }
    this.touched = [];
  }
}

/** Writes sparse rows one after another, of each the `most` largest weights by magnitude (ties: the lower column). */
export class RowWriter {
  private readonly starts: Uint32Array;
  private columns = new Uint32Array(1024);
  private values = new Float32Array(1024);
  private row = 0;
  private length = 0;
  private readonly most: number;
  private items: number[] = [];
  private weights: number[] = [];

  constructor(rows: number, most: number) {
    this.starts = new Uint32Array(rows + 1);
    this.most = most;
  }

  readonly add: Add = (column, x) => {
    this.items.push(column);
    this.weights.push(x);
  };

  /** The row so far, cut and sorted by column; the writer forgets it. */
  take(): { columns: number[]; values: Float64Array } {
    const { items, weights, most } = this;
    let order = items.map((_, i) => i);
    if (order.length > most) {
      const sizes = Float64Array.from(weights, Math.abs).sort();
      const least = sizes[sizes.length - most];
      const above = order.filter((i) => Math.abs(weights[i]) > least);
      const equal = order.filter((i) => Math.abs(weights[i]) === least).sort((a, b) => items[a] - items[b]);
      order = [...above, ...equal.slice(0, most - above.length)];
    }
    order.sort((a, b) => items[a] - items[b]);
    [this.items, this.weights] = [[], []];
    return { columns: order.map((i) => items[i]), values: Float64Array.from(order, (i) => weights[i]) };
  }

  /** Ends the row. */
  end(): void {
    const { columns, values } = this.take();
    const need = this.length + columns.length;
    if (need > this.columns.length) {
      const room = Math.max(need, Math.ceil(this.columns.length * 1.5));
      const [c, v] = [new Uint32Array(room), new Float32Array(room)];
      c.set(this.columns);
      v.set(this.values);
      [this.columns, this.values] = [c, v];
    }
    this.columns.set(columns, this.length);
    this.values.set(values, this.length);
    this.length = need;
    this.starts[++this.row] = need;
  }

  finish(): SparseHost {
    const { starts, length } = this;
    return { starts, columns: this.columns.slice(0, length), values: this.values.slice(0, length) };
  }
}

/** The columns of sparse rows as rows, cut to the `kept` largest each. */
export async function transposed(
  rows: SparseHost,
  items: number,
  kept: number,
  pause: () => Promise<void>,
): Promise<SparseHost> {
  const starts = new Uint32Array(items + 1);
  for (const column of rows.columns) starts[column + 1]++;
  for (let i = 0; i < items; i++) starts[i + 1] += starts[i];
  const next = starts.slice();
  const columns = new Uint32Array(rows.columns.length);
  const values = new Float32Array(rows.columns.length);
  for (let row = 0; row < items; row++) {
    for (let e = rows.starts[row]; e < rows.starts[row + 1]; e++) {
      const at = next[rows.columns[e]]++;
      columns[at] = row;
      values[at] = rows.values[e];
    }
  }
  const out = new RowWriter(items, kept);
  for (let i = 0; i < items; i++) {
    for (let e = starts[i]; e < starts[i + 1]; e++) out.add(columns[e], values[e]);
    out.end();
    await pause();
  }
  return out.finish();
}
