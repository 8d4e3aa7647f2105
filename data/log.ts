import type { ValueColumn, ColumnValues } from './column.ts';
import type { TimeUnit } from './formats/times.ts';

/**
 * An interaction log, rows in file order, in memory unless said otherwise. IDs are the file's own strings, numbered by
 * first appearance: `userIds[user[i]]` acted on `itemIds[item[i]]` in row i.
 */
export interface Log<U extends ValueColumn = Uint32Array, F extends ValueColumn<Float64Array> = Float64Array> {
  userIds: string[];
  itemIds: string[];
  /** [size] index into userIds */
  user: U;
  /** [size] index into itemIds */
  item: U;
  /** [size] in double precision, so that 7.6 reaches a threshold of 7.6; NaN where the field was empty; null without ratings */
  rating: F | null;
  /** [size] any increasing unit, NaN where unknown (empty or −1); null when file order is the time order */
  time: F | null;
  /** unit of the times, if the reader detected it */
  timeUnit?: TimeUnit;
  /** other columns that were requested; `''` where the field was empty */
  context?: ContextColumn<U>[];
  /** [size] 1 for an event that a model has not seen yet (data/merge.ts) */
  fresh?: Uint8Array;
  size: number;
  /** names of the columns that were read, null for none */
  columns?: { user: string; item: string; time: string | null; rating: string | null };
  /** rows that could not be read and were skipped */
  badRows?: number;
  /** name of the file, for messages */
  source: string;
  /** notes for the user about what was read */
  notes: string[];
}

/** A log whose rows may be in files. */
export type StoredLog = Log<ValueColumn, ValueColumn<Float64Array>>;

/** A note on a log as a line below the log's name: `log.csv:3: ...` is `line 3: ...` there. */
export const withoutSource = (note: string, source: string): string =>
  note.replace(`${source}: `, '').replaceAll(`${source}:`, 'line ');

/** A column of the log besides the usual ones: event i has `values[rows[i]]`. */
export interface ContextColumn<Rows extends ValueColumn = Uint32Array> {
  name: string;
  values: string[];
  rows: Rows;
}

/** The context of event i: its value in each column. */
export const contextAt = (
  context: readonly ContextColumn<ValueColumn>[],
  i: number,
): Record<string, string | undefined> =>
  Object.fromEntries(context.map(({ name, values, rows }) => [name, values[rows.at(i) as number]]));

/**
 * Numbers string IDs by first appearance. A Map, so that `__proto__` is an ID like any other; IDs that are integers as
 * JavaScript writes them, the most common ones, are in a hash table of their own, which is three times as fast.
 */
export class IdIndex {
  readonly ids: string[] = [];
  readonly #rows = new Map<string, number>();
  /** Integers and their rows by open addressing, at most half full; −1 is free. */
  #keys = new Int32Array(1024).fill(-1);
  #values = new Uint32Array(1024);
  #integers = 0;

  /** Row of `id`; a new ID gets the next number. */
  add(id: string): number {
    const integer = integerOf(id);
    if (integer >= 0) return this.#addInteger(integer, id);
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const own = ownCopy(id);
    const row = this.ids.push(own) - 1;
    this.#rows.set(own, row);
    return row;
  }

  #addInteger(integer: number, id: string): number {
    const at = slotOf(this.#keys, integer);
    if (this.#keys[at] === integer) return this.#values[at] as number;
    const row = this.ids.push(id) - 1;
    this.#keys[at] = integer;
    this.#values[at] = row;
    if (2 * ++this.#integers > this.#keys.length) this.#grow();
    return row;
  }

  #grow(): void {
    const [keys, values] = [this.#keys, this.#values];
    this.#keys = new Int32Array(2 * keys.length).fill(-1);
    this.#values = new Uint32Array(2 * keys.length);
    keys.forEach((key, i) => {
      if (key < 0) return;
      const at = slotOf(this.#keys, key);
      this.#keys[at] = key;
      this.#values[at] = values[i] as number;
    });
  }
}

/** Where an integer is in a hash table of a power of two, or would be. */
function slotOf(keys: Int32Array, integer: number): number {
  const mask = keys.length - 1;
  const hash = Math.imul(integer, 0x9e3779b1);
  let at = (hash ^ (hash >>> 15)) & mask;
  while (keys[at] !== integer && keys[at] !== -1) at = (at + 1) & mask;
  return at;
}

/** The integer below 10⁹ that a text is, digit by digit; −1 for any other text, as 007. */
function integerOf(text: string): number {
  const { length } = text;
  if (length === 0 || length > 9) return -1;
  let value = text.charCodeAt(0) - 48;
  if (value < 0 || value > 9 || (value === 0 && length > 1)) return -1;
  for (let i = 1; i < length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = 10 * value + digit;
  }
  return value;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A slice of a long string keeps the whole string alive (V8, from 13 characters on): a round trip frees it. */
function ownCopy(text: string): string {
  return text.length < 13 ? text : decoder.decode(encoder.encode(text));
}

type Typed = Uint32Array | Float32Array | Float64Array;

/** Where a reader puts the values of a column, one by one. */
export interface ColumnWriter<A extends ColumnValues> {
  push(value: number): void;
  finish(): ValueColumn<A>;
}

/** Makes the columns of a log: in memory, or in files. */
export interface ColumnStore {
  u32(): ColumnWriter<Uint32Array>;
  f64(): ColumnWriter<Float64Array>;
}

export const memoryStore: ColumnStore = {
  u32: () => new GrowableArray((n) => new Uint32Array(n)),
  f64: () => new GrowableArray((n) => new Float64Array(n)),
};

/** A typed array that grows by half when full. */
export class GrowableArray<A extends Typed> {
  #data: A;
  #length = 0;
  readonly #make: (length: number) => A;

  constructor(make: (length: number) => A, capacity = 1024) {
    this.#make = make;
    this.#data = make(capacity);
  }

  push(value: number): void {
    if (this.#length === this.#data.length) {
      const larger = this.#make(Math.ceil(this.#length * 1.5));
      larger.set(this.#data as never);
      this.#data = larger;
    }
    this.#data[this.#length++] = value;
  }

  /** A copy of exactly what was pushed; the spare capacity is freed with this object. */
  finish(): A {
    return this.#data.slice(0, this.#length) as A;
  }
}
