/** Columns of events: in memory, where they are typed arrays, or in files (interop/dataset), which are read in pieces. */

export type ColumnValues = Uint32Array | Float64Array;

/** ColumnValues of events for reading; a typed array is one. */
export interface ValueColumn<A extends ColumnValues = Uint32Array> extends Iterable<number> {
  readonly length: number;
  /** Value i; undefined beyond the end. Slower than an element of `subarray`. */
  at(i: number): number | undefined;
  /** The values [from, to): a view of those in memory, a copy of those in a file. Not to be written to. */
  subarray(from: number, to: number): A;
}

/** ColumnValues that are read at once where a whole column is. */
const BLOCK = 1 << 16;

/** All values, in blocks; those of memory at once. */
export function* columnBlocks<A extends ColumnValues>(column: ValueColumn<A>): Generator<A, void, undefined> {
  if (isInMemory(column)) return yield column as unknown as A;
  for (let from = 0; from < column.length; from += BLOCK) {
    yield column.subarray(from, Math.min(column.length, from + BLOCK));
  }
}

/** Whether a column is a typed array. */
export const isInMemory = (column: ValueColumn<ColumnValues>): boolean => ArrayBuffer.isView(column);

/** The column as a typed array: itself, or a copy of what is in a file. */
export function inMemory<A extends ColumnValues>(column: ValueColumn<A>): A {
  return isInMemory(column) ? (column as unknown as A) : column.subarray(0, column.length);
}

/** A column with each value replaced: a copy in memory, or computed as it is read. */
export function mapped<A extends ColumnValues>(column: ValueColumn<A>, f: (value: number) => number): ValueColumn<A> {
  const map = (values: A): A => (values as Uint32Array).map(f) as A;
  if (isInMemory(column)) return map(column as unknown as A) as unknown as ValueColumn<A>;
  return {
    length: column.length,
    at(i) {
      const value = column.at(i);
      return value === undefined ? undefined : f(value);
    },
    subarray: (from, to) => map(column.subarray(from, to)),
    *[Symbol.iterator]() {
      for (const value of column) yield f(value);
    },
  };
}
