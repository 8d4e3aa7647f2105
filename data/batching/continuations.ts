/**
 * Training windows of an encoder-decoder: histories, and the items that follow each.
 *
 * A training history of m events has the targets x_1 … x_{m−1}. Each epoch cuts them, at a random shift, into runs of n;
 * the encoder reads the up to T events before each run, and the decoder, which starts with the last of them, predicts the
 * run. So an epoch covers each target once, at a position in its continuation that changes from epoch to epoch.
 */
import { seeded, shuffle } from '../random.ts';
import type { Split } from '../splits/split.ts';
import type { Batch, BatchOptions, ContinuationBatch } from './batch.ts';
import { checkWindow, pack } from './pack.ts';
import { REPLAYED, replayed } from './replay.ts';

export type ContinuationOptions = Omit<BatchOptions, 'cloze' | 'augment'> & { continuation: number };

/** Tokens of a batch's continuations: a quarter as many as of histories, and at least one continuation. */
export const continuationTokens = (maxTokens: number, continuation: number): number =>
  Math.ceil(Math.max(continuation, maxTokens / 4) / 64) * 64;

/** In `dataset.items`: the history starts at `first`, the continuation at `cut`; `tokens` and `length` are their lengths. */
interface Window {
  first: number;
  cut: number;
  tokens: number;
  length: number;
}

/** Keeps these draws apart from those of other windows. */
const STREAM = 0x636f6e74;

/** The batches of one epoch; see `batches`. Everything follows from (seed, epoch). */
export function* continuations(
  split: Split,
  options: ContinuationOptions & { skip?: number },
): Generator<Batch, void, undefined> {
  for (const windows of planEpoch(split, options).slice(options.skip ?? 0)) yield fillBatch(split, windows, options);
}

export function continuationsPerEpoch(split: Split, options: ContinuationOptions): number {
  return planEpoch(split, options).length;
}

/** The windows of each batch. */
function planEpoch(split: Split, options: ContinuationOptions): Window[][] {
  checkWindow(options);
  const { maxTokens, window, continuation, seed, epoch } = options;
  const random = seeded(seed ^ STREAM, epoch);
  const windows: Window[] = [];
  for (let u = 0; u < split.users; u++) {
    const events = split.trainLength(u);
    if (events < 2) continue;
    const [base] = split.range(u);
    // The first run is shortened by the shift; all others but the last are full.
    const shift = random.below(Math.min(continuation, events - 1));
    for (let at = 1, end = 1 + continuation - shift; at < events; at = end, end += continuation) {
      const tokens = Math.min(at, window);
      windows.push({ first: base + at - tokens, cut: base + at, tokens, length: Math.min(end, events) - at });
    }
  }
  const kept = replayed(
    windows,
    split,
    options.replay,
    ({ cut, length }) => [cut, cut + length],
    seeded(seed ^ STREAM ^ REPLAYED, epoch),
  );
  return pack(shuffle(kept, random), [
    { maxTokens, tokens: (one) => one.tokens },
    { maxTokens: continuationTokens(maxTokens, continuation), tokens: (one) => one.length },
  ]);
}

function fillBatch(split: Split, windows: readonly Window[], options: ContinuationOptions): Batch {
  const { maxTokens, continuation } = options;
  const { items, times } = split.dataset;
  const zeros = (n: number) => new Uint32Array(n);
  const room = continuationTokens(maxTokens, continuation);
  const next: ContinuationBatch = {
    tokens: 0,
    items: zeros(room),
    positions: zeros(room),
    targets: zeros(room),
    weights: new Float32Array(room),
    start: zeros(room),
    end: zeros(room),
    keyStart: zeros(room),
    keyEnd: zeros(room),
    queryStart: zeros(maxTokens),
    queryEnd: zeros(maxTokens),
  };
  const batch = {
    tokens: 0,
    items: zeros(maxTokens),
    positions: zeros(maxTokens),
    targets: zeros(maxTokens),
    weights: new Float32Array(maxTokens),
    start: zeros(maxTokens),
    end: zeros(maxTokens),
    ...(times && { times: zeros(maxTokens) }),
    continuation: next,
  };
  for (const { first, cut, tokens, length } of windows) {
    const [from, to] = [batch.tokens, batch.tokens + tokens];
    const [nextFrom, nextTo] = [next.tokens, next.tokens + length];
    batch.items.set(items.subarray(first, cut), from);
    if (times) batch.times?.set(times.subarray(first, cut), from);
    for (let i = 0; i < tokens; i++) batch.positions[from + i] = i;
    batch.start.fill(from, from, to);
    batch.end.fill(to, from, to);
    next.queryStart.fill(nextFrom, from, to);
    next.queryEnd.fill(nextTo, from, to);

    next.items.set(items.subarray(cut - 1, cut - 1 + length), nextFrom);
    next.targets.set(items.subarray(cut, cut + length), nextFrom);
    for (let i = 0; i < length; i++) next.positions[nextFrom + i] = i;
    next.start.fill(nextFrom, nextFrom, nextTo);
    next.end.fill(nextTo, nextFrom, nextTo);
    next.keyStart.fill(from, nextFrom, nextTo);
    next.keyEnd.fill(to, nextFrom, nextTo);
    batch.tokens = to;
    next.tokens = nextTo;
  }
  next.weights.fill(1 / next.tokens, 0, next.tokens);
  return batch;
}
