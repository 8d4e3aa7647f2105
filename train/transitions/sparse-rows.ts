/** Sparse rows, written one after another. */
import type { SparseHost } from '../../engine/index.ts';

/** A copy with room for more. */
function enlarged<T extends Uint32Array | Float32Array | Float64Array>(from: T, room: number): T {
  const to = new (from.constructor as new (room: number) => T)(room);
  to.set(from);
  return to;
}

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

/** Most entries of a row that is kept: a column and its position in the row are sorted as one number. */
const POSITIONS = 2 ** 21;

/** Writes sparse rows one after another, of each the `most` largest weights by magnitude (ties: the lower column). */
export class RowWriter {
  private readonly starts: Uint32Array;
  private columns = new Uint32Array(1024);
  private values = new Float32Array(1024);
  private row = 0;
  private length = 0;
  private readonly most: number;
  /** The row so far. */
  private items = new Uint32Array(1024);
  private weights = new Float64Array(1024);
  private count = 0;

  constructor(rows: number, most: number) {
    this.starts = new Uint32Array(rows + 1);
    this.most = Math.min(most, POSITIONS);
  }

  readonly add: Add = (column, x) => {
    if (this.count === this.items.length) {
      this.items = enlarged(this.items, 2 * this.count);
      this.weights = enlarged(this.weights, 2 * this.count);
    }
    this.items[this.count] = column;
    this.weights[this.count++] = x;
  };

  /** The row so far, cut and sorted by column; the writer forgets it. */
  take(): { columns: Uint32Array; values: Float64Array } {
    if (this.count > this.most) this.cut();
    const { items, weights, count } = this;
    const keys = new Float64Array(count);
    for (let i = 0; i < count; i++) keys[i] = items[i] * POSITIONS + i;
    keys.sort();
    const [columns, values] = [new Uint32Array(count), new Float64Array(count)];
    for (let i = 0; i < count; i++) {
      const at = keys[i] % POSITIONS;
      columns[i] = items[at];
      values[i] = weights[at];
    }
    this.count = 0;
    return { columns, values };
  }

  private cut(): void {
    const { items, weights, count, most } = this;
    const sizes = new Float64Array(count);
    for (let i = 0; i < count; i++) sizes[i] = Math.abs(weights[i]);
    const least = sizes.sort()[count - most];
    /** Columns of weights of this magnitude, doubled, plus 1 where it is negative. */
    const equal: number[] = [];
    this.count = 0;
    for (let i = 0; i < count; i++) {
      const size = Math.abs(weights[i]);
      if (size > least) this.add(items[i], weights[i]);
      else if (size === least) equal.push(2 * items[i] + (weights[i] < 0 ? 1 : 0));
    }
    for (const key of Float64Array.from(equal)
      .sort()
      .subarray(0, most - this.count))
      this.add(Math.floor(key / 2), key % 2 === 0 ? least : -least);
  }

  /** Ends the row. */
  end(): void {
    const { columns, values } = this.take();
    const need = this.length + columns.length;
    if (need > this.columns.length) {
      const room = Math.max(need, Math.ceil(this.columns.length * 1.5));
      this.columns = enlarged(this.columns, room);
      this.values = enlarged(this.values, room);
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
