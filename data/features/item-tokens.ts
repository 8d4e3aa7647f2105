/**
 * The attribute tokens of a catalogue (data/features/encoder.ts), each distinct one once: `Drama` is one token, whichever items have
 * it. The token that every item begins with is left out, since whoever reads these has the item's own embedding beside them.
 */
import type { ItemFeatures } from './encoder.ts';

export interface ItemTokens {
  /** Rows of the attribute table, A. */
  rows: number;
  /** Token u holds `values` of the rows `columns` from starts[u] to starts[u + 1]. */
  bags: { starts: Uint32Array; columns: Uint32Array; values: Float32Array };
  /** Tokens of each item, in the order of its columns; none where nothing is known of it. */
  of: readonly Uint32Array[];
}

export function itemTokens({ rows, tokens, itemStarts }: ItemFeatures): ItemTokens {
  const known = new Map<string, number>();
  const starts = [0];
  const columns: number[] = [];
  const values: number[] = [];
  const numberOf = (t: number): number => {
    const [from, to] = [tokens.starts[t], tokens.starts[t + 1]];
    const [own, weights] = [tokens.columns.subarray(from, to), tokens.values.subarray(from, to)];
    const key = `${own} ${weights}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    known.set(key, known.size);
    for (let e = 0; e < own.length; e++) {
      columns.push(own[e]);
      values.push(weights[e]);
    }
    starts.push(columns.length);
    return known.size - 1;
  };
  const of = Array.from({ length: itemStarts.length - 1 }, (_, v) => {
    const all = Array.from({ length: itemStarts[v + 1] - itemStarts[v] - 1 }, (_, i) => itemStarts[v] + 1 + i);
    return Uint32Array.from(new Set(all.map(numberOf)));
  });
  const bags = {
    starts: Uint32Array.from(starts),
    columns: Uint32Array.from(columns),
    values: Float32Array.from(values),
  };
  return { rows, bags, of };
}

/** How many distinct tokens `count` items have together, where each is as likely as any other; rounded up. */
export function expectedTokens({ of, bags }: ItemTokens, count: number): number {
  const holders = new Uint32Array(bags.starts.length - 1);
  for (const list of of) for (const u of list) holders[u]++;
  return Math.ceil(holders.reduce((sum, n) => sum + 1 - (1 - n / of.length) ** count, 0));
}
