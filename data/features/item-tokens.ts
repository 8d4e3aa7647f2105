/**
 * The distinct attribute tokens of a catalog (data/features/encoder.ts): `Drama` is one token, whichever items have it. The
 * token that every item starts with is left out, since these are read together with the item's own embedding.
 */
import { spanAt } from '../spans.ts';
import type { ItemFeatures } from './encoder.ts';

export interface ItemTokens {
  /** Rows of the attribute table, A. */
  rows: number;
  /** Token u holds `values` of the rows `columns` from starts[u] to starts[u + 1]. */
  bags: { starts: Uint32Array; columns: Uint32Array; values: Float32Array };
  /** Tokens of each item, in the order of its columns; none without attributes. */
  of: readonly Uint32Array[];
}

export function itemTokens({ rows, tokens, itemStarts }: ItemFeatures): ItemTokens {
  const known = new Map<string, number>();
  const starts = [0];
  const columns: number[] = [];
  const values: number[] = [];
  const numberOf = (t: number): number => {
    const [from, to] = spanAt(tokens.starts, t);
    const [own, weights] = [tokens.columns.subarray(from, to), tokens.values.subarray(from, to)];
    const key = `${own} ${weights}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    known.set(key, known.size);
    for (const column of own) columns.push(column);
    for (const weight of weights) values.push(weight);
    starts.push(columns.length);
    return known.size - 1;
  };
  const of = Array.from({ length: itemStarts.length - 1 }, (_, v) => {
    const [from, to] = spanAt(itemStarts, v);
    const all = Array.from({ length: to - from - 1 }, (_, i) => from + 1 + i);
    return Uint32Array.from(new Set(all.map(numberOf)));
  });
  const bags = {
    starts: Uint32Array.from(starts),
    columns: Uint32Array.from(columns),
    values: Float32Array.from(values),
  };
  return { rows, bags, of };
}

/** Expected number of distinct tokens of `count` items drawn uniformly; rounded up. */
export function expectedTokens({ of, bags }: ItemTokens, count: number): number {
  const holders = new Uint32Array(bags.starts.length - 1);
  for (const list of of) for (const u of list) holders[u] = (holders[u] as number) + 1;
  return Math.ceil(holders.reduce((sum, n) => sum + 1 - (1 - n / of.length) ** count, 0));
}
