/** Side features of consecutive tokens as rows of a sparse matrix. */
import { GrowableArray } from '../log.ts';
import { spanAt } from '../spans.ts';
import type { Bag } from './encoder.ts';

/** Bags of consecutive tokens as one sparse matrix [tokens, A]: token t has `values` at `columns` from starts[t] on. */
export interface SideFeatureRows {
  starts: Uint32Array;
  columns: Uint32Array;
  values: Float32Array;
}

/** Collects tokens. */
export class SideFeatureWriter {
  readonly #starts = new GrowableArray((n) => new Uint32Array(n));
  readonly #columns = new GrowableArray((n) => new Uint32Array(n));
  readonly #values = new GrowableArray((n) => new Float32Array(n));
  #entries = 0;

  constructor() {
    this.#starts.push(0);
  }

  add(bag: Bag): void {
    for (const [row, weight] of bag) this.#entry(row, weight);
  }

  /** Adds the entries of token i of `rows`. */
  addRow({ starts, columns, values }: SideFeatureRows, i: number): void {
    const [from, to] = spanAt(starts, i);
    for (let e = from; e < to; e++) this.#entry(columns[e] as number, values[e] as number);
  }

  #entry(row: number, weight: number): void {
    this.#columns.push(row);
    this.#values.push(weight);
    this.#entries++;
  }

  endToken(): void {
    this.#starts.push(this.#entries);
  }

  finish(): SideFeatureRows {
    return { starts: this.#starts.finish(), columns: this.#columns.finish(), values: this.#values.finish() };
  }
}

/** The largest number of entries of a token. */
export function maxBagSize(rows: SideFeatureRows | null | undefined): number {
  let most = 0;
  for (let i = 0; rows && i + 1 < rows.starts.length; i++) {
    const [from, to] = spanAt(rows.starts, i);
    most = Math.max(most, to - from);
  }
  return most;
}

/** One token for each bag. */
export function packBags(bags: readonly Bag[]): SideFeatureRows {
  const writer = new SideFeatureWriter();
  for (const bag of bags) {
    writer.add(bag);
    writer.endToken();
  }
  return writer.finish();
}

/** The tokens of both, in order. */
export function concatRows(a: SideFeatureRows, b: SideFeatureRows): SideFeatureRows {
  const writer = new SideFeatureWriter();
  for (const rows of [a, b]) {
    for (let i = 0; i + 1 < rows.starts.length; i++) {
      writer.addRow(rows, i);
      writer.endToken();
    }
  }
  return writer.finish();
}
