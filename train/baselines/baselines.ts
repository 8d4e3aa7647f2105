import { inMemory } from '../../data/column.ts';
import { GrowableArray } from '../../data/log.ts';
import { atOnce, type Pieces } from '../../data/pieces.ts';
import { sampleUsers } from '../../data/splits/sample.ts';
import type { Split } from '../../data/splits/split.ts';

/** A simple recommender that a trained model is compared with: scores the whole catalog after a history. */
export interface Baseline {
  name: string;
  /** Writes V scores, higher is better, into `out`. `history` holds item rows, oldest first; it may be empty. */
  scores(history: Uint32Array, out: Float32Array | Float64Array): void;
}

/**
 * Popularity and the two Markov chains. All baselines count training events only, at test time too; the validation item
 * only joins the history that is scored.
 *
 * Ties rank pessimistically (ranking.ts), and popularity breaks ties of the Markov chain. Published metrics use other
 * conventions. On MovieLens 1M, popularity is .0180 / .0369 and the windowed chain .1398 / .2483 (NDCG@10 / HR@10, seen
 * items excluded), as published; the chain is .1259 / .2144 where .1253 / .2149 is published: three users of 6,040, and any
 * other order of its many ties moves it by as much (raw counts alone give anything from .1173 to .1398). On MovieLens 100K
 * popularity is .0432 / .0838 where .0445 / .0870 is published: the order of ties alone moves it from .0432 to .0453, and
 * counting the whole log, targets included, gives exactly .0445 / .0870. Neither an order that favors the target nor a
 * count that includes it is sound, so both remain as they are.
 */
export function* quickBaselines(split: Split): Pieces<Baseline[]> {
  return [popularity(split), yield* makeMarkov(split), yield* makeWindowedMarkov(split, {})];
}

/** Training events of each item, [V]. */
export function countItems(split: Split): Uint32Array {
  const counts = new Uint32Array(split.items);
  for (let u = 0; u < split.users; u++) for (const item of split.history(u, 'train')) counts[item]++;
  return counts;
}

/** The same list for everyone: items by their number of training events. */
export function popularity(split: Split): Baseline {
  const counts = countItems(split);
  return { name: 'popularity', scores: (_history, out) => out.set(counts) };
}

/** A first-order Markov chain: how often an item followed the last one; popularity breaks ties. */
export const markov = (split: Split): Baseline => atOnce(makeMarkov(split));

function* makeMarkov(split: Split): Pieces<Baseline> {
  const counts = countItems(split);
  const next = yield* countTransitions(split, 1);
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const popular = Float64Array.from(counts, (count) => count / (most + 1));
  return {
    name: 'Markov',
    scores(history, out) {
      out.set(popular);
      if (history.length > 0) next.add(history[history.length - 1], 1, out);
    },
  };
}

/**
 * A Markov chain over a window: an item counts 1/lag for each of the 10 items before it, every row is normalized to sum to
 * 1, the rows of the last 10 items of a history are added with weights 0.8^k (k = 0 for the last), and the sum is divided
 * by the candidate's popularity to the power `damping` (the square root).
 */
export const windowedMarkov = (split: Split, options: WindowedOptions = {}): Baseline =>
  atOnce(makeWindowedMarkov(split, options));

type WindowedOptions = Partial<Record<'lags' | 'last' | 'decay' | 'damping', number>>;

function* makeWindowedMarkov(
  split: Split,
  { lags = 10, last = 10, decay = 0.8, damping = 0.5 }: WindowedOptions,
): Pieces<Baseline> {
  const chain = yield* countChain(split, lags);
  return { name: 'windowed Markov', scores: chain({ last, decay, damping }) };
}

/** Scores of a windowed chain with these weights; see {@link windowedMarkov}. */
export type ChainOf = (weights: { last: number; decay: number; damping: number }) => Baseline['scores'];

/** The transitions are counted once, whatever the weights. */
export const markovWindow = (split: Split, lags = 10): ChainOf => atOnce(countChain(split, lags));

function* countChain(split: Split, lags: number): Pieces<ChainOf> {
  const next = yield* countTransitions(split, lags);
  const counts = countItems(split);
  return ({ last, decay, damping }) => {
    const damp = Float64Array.from(counts, (count) => Math.max(1, count) ** -damping);
    return (history, out) => {
      out.fill(0);
      for (let k = 0; k < Math.min(last, history.length); k++) {
        const item = history[history.length - 1 - k];
        if (next.total[item] > 0) next.add(item, decay ** k / next.total[item], out);
      }
      for (let i = 0; i < out.length; i++) out[i] *= damp[i];
    };
  };
}

interface Transitions {
  /** [V] sum of a row */
  total: Float64Array;
  /** out[j] += scale · weight(from → j) */
  add(from: number, scale: number, out: Float32Array | Float64Array): void;
}

/**
 * Sparse rows of Σ 1/lag over all pairs of training events up to `lags` apart. Built one item at a time from its
 * occurrences, so that neither a list of pairs nor a V × V table is ever in memory; of a large log by a sample of the users.
 */
function* countTransitions(all: Split, lags: number): Pieces<Transitions> {
  const split = yield* sampleUsers(all);
  const events = inMemory(split.dataset.items);
  const V = split.items;
  const { starts, positions, ends } = yield* occurrences(split);
  const rowStarts = new Uint32Array(V + 1);
  const columns = new GrowableArray((n) => new Uint32Array(n));
  const values = new GrowableArray((n) => new Float32Array(n));
  const total = new Float64Array(V);
  const row = new Float64Array(V);
  const touched: number[] = [];
  for (let from = 0; from < V; from++) {
    touched.length = 0;
    for (let o = starts[from]; o < starts[from + 1]; o++) {
      const at = positions[o];
      const end = Math.min(ends[o], at + 1 + lags);
      for (let next = at + 1; next < end; next++) {
        const to = events[next];
        if (row[to] === 0) touched.push(to);
        row[to] += 1 / (next - at);
        total[from] += 1 / (next - at);
      }
    }
    for (const to of touched) {
      columns.push(to);
      values.push(row[to]);
      row[to] = 0;
    }
    rowStarts[from + 1] = rowStarts[from] + touched.length;
    yield;
  }
  const column = columns.finish();
  const value = values.finish();
  return {
    total,
    add(from, scale, out) {
      for (let i = rowStarts[from]; i < rowStarts[from + 1]; i++) out[column[i]] += scale * value[i];
    },
  };
}

/** Where each item occurs in training: positions[starts[i] … starts[i + 1]), with the end of the history it is in. */
function* occurrences(split: Split): Pieces<{ starts: Uint32Array; positions: Uint32Array; ends: Uint32Array }> {
  const { offsets } = split.dataset;
  const events = inMemory(split.dataset.items);
  const counts = countItems(split);
  const starts = new Uint32Array(split.items + 1);
  for (let i = 0; i < split.items; i++) starts[i + 1] = starts[i] + counts[i];
  const next = starts.slice();
  const positions = new Uint32Array(starts[split.items]);
  const ends = new Uint32Array(starts[split.items]);
  for (let u = 0; u < split.users; u++) {
    const end = offsets[u] + split.trainLength(u);
    for (let at = offsets[u]; at < end; at++) {
      const slot = next[events[at]]++;
      positions[slot] = at;
      ends[slot] = end;
    }
    yield;
  }
  return { starts, positions, ends };
}
