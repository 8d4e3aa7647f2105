/**
 * Which queries share a batch, and the batches themselves: a program is recorded for each size of a batch, so sizes are
 * powers of two, and a batch is used again for every group of queries that needs its size.
 */
import type { Device } from '../../engine/index.ts';

/** Tokens of a batch at most, unless a single history is longer. */
export const MAX_TOKENS = 8192;
/** Tokens of a batch at least. */
export const MIN_TOKENS = 16;

/** The smallest power of two that is at least n and `least`. */
export const roundUp = (n: number, least = 1): number => 2 ** Math.ceil(Math.log2(Math.max(n, least)));

/** Scores that are held at once: 64 MiB, or what one binding holds. */
export const maxScores = ({ maxBindingBytes }: Device): number =>
  Math.min(16 * 2 ** 20, Math.floor(maxBindingBytes / 4));

interface BatcherOptions<Query, Size, Batch> {
  /** Tokens that a query takes. */
  lengthOf(query: Query): number;
  /** Queries of a batch at most. */
  maxQueries: number;
  /** What a batch of these queries needs room for. @param tokens all of theirs, rounded up */
  sizeOf(queries: readonly Query[], tokens: number): Size;
  create(size: Size): Batch;
}

/** Queries that share a batch, in their order. */
interface Group<Query, Batch> {
  batch: Batch;
  queries: readonly Query[];
  /** How many queries came before these. */
  from: number;
}

export class Batcher<Query, Size extends object, Batch extends { dispose(): void }> {
  private readonly options: BatcherOptions<Query, Size, Batch>;
  private readonly batches = new Map<string, Batch>();

  constructor(options: BatcherOptions<Query, Size, Batch>) {
    this.options = options;
  }

  /** The queries in groups, each with its batch, which is free again when the next group is taken. */
  *groups(queries: readonly Query[]): Generator<Group<Query, Batch>> {
    const { lengthOf, maxQueries } = this.options;
    for (let from = 0; from < queries.length; ) {
      let [to, tokens] = [from, 0];
      for (; to < queries.length && to - from < maxQueries; to++) {
        const length = lengthOf(queries[to]);
        if (to > from && tokens + length > MAX_TOKENS) break;
        tokens += length;
      }
      const group = queries.slice(from, to);
      yield { batch: this.batchFor(group, tokens), queries: group, from };
      from = to;
    }
  }

  private batchFor(queries: readonly Query[], tokens: number): Batch {
    const size = this.options.sizeOf(queries, roundUp(tokens, MIN_TOKENS));
    const key = JSON.stringify(size);
    const batch = this.batches.get(key) ?? this.options.create(size);
    this.batches.set(key, batch);
    return batch;
  }

  dispose(): void {
    for (const batch of this.batches.values()) batch.dispose();
    this.batches.clear();
  }
}
