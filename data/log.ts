import type { TimeUnit } from './formats/times.ts';

/**
 * An interaction log in memory, rows in file order. IDs are the file's own strings, numbered by first appearance:
 * `userIds[user[i]]` acted on `itemIds[item[i]]` in row i.
 */
export interface Log {
  userIds: string[];
  itemIds: string[];
  /** [size] index into userIds */
  user: Uint32Array;
  /** [size] index into itemIds */
  item: Uint32Array;
  /** [size] in double precision, so that 7.6 reaches a threshold of 7.6; NaN where the field was empty; null without ratings */
  rating: Float64Array | null;
  /** [size] any increasing unit, NaN where unknown (empty or −1); null when file order is the time order */
  time: Float64Array | null;
  /** unit of the times, if the reader detected it */
  timeUnit?: TimeUnit;
  /** other columns that were requested; `''` where the field was empty */
  context?: ContextColumn[];
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

/** A note on a log as a line below the log's name: `log.csv:3: ...` is `line 3: ...` there. */
export const withoutSource = (note: string, source: string): string =>
  note.replace(`${source}: `, '').replaceAll(`${source}:`, 'line ');

/** A column of the log besides the usual ones: event i has `values[rows[i]]`. */
export interface ContextColumn {
  name: string;
  values: string[];
  rows: Uint32Array;
}

/** The context of event i: its value in each column. */
export const contextAt = (context: readonly ContextColumn[], i: number): Record<string, string | undefined> =>
  Object.fromEntries(context.map(({ name, values, rows }) => [name, values[rows[i] as number]]));

/** Numbers string IDs by first appearance. A Map, so that `__proto__` is an ID like any other. */
export class IdIndex {
  readonly ids: string[] = [];
  readonly #rows = new Map<string, number>();

  /** Row of `id`; a new ID gets the next number. */
  add(id: string): number {
    const known = this.#rows.get(id);
    if (known !== undefined) return known;
    const row = this.ids.length;
    const own = ownCopy(id);
    this.ids.push(own);
    this.#rows.set(own, row);
    return row;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A slice of a long string keeps the whole string alive (V8, from 13 characters on): a round trip frees it. */
function ownCopy(text: string): string {
  return text.length < 13 ? text : decoder.decode(encoder.encode(text));
}

type Typed = Uint32Array | Float32Array | Float64Array;

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
